//! A TCP proxy between one process and its database: it cuts, goes silent in one direction or both, delays, and leads new
//! connections elsewhere.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::random::Random;

const LATE: Duration = Duration::from_millis(150);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// What is sent arrives a little later.
    Late,
    /// Connections are closed, and new ones, too.
    Cut,
    /// Connections stay open, new ones are accepted, and nothing arrives until it passes again.
    Silent,
    /// The database hears nothing.
    ToDatabase,
    /// The process hears nothing, but the database does.
    ToProcess,
}

#[derive(Clone, Debug)]
struct State {
    mode: Mode,
    /// The ports of the servers, one of which a new connection gets.
    servers: Vec<u16>,
    /// Connections of an earlier one are closed.
    epoch: u64,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<watch::Sender<State>>,
}

impl Proxy {
    pub(crate) async fn to(server: u16, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(watch::Sender::new(State { mode: Mode::Pass, servers: vec![server], epoch: 0 }));
        let (accepted, random) = (Arc::clone(&state), Random::new(seed));
        tokio::spawn(async move {
            while let Ok((process, _)) = listener.accept().await {
                let server = random.pick(&accepted.borrow().servers);
                tokio::spawn(connect(process, server, accepted.subscribe()));
            }
        });
        Proxy { port, state }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.state.send_modify(|state| {
            state.mode = mode;
            state.epoch += u64::from(mode == Mode::Cut);
        });
    }

    /// Leads new connections to these servers. The others stay, or are closed.
    pub(crate) fn lead_to(&self, servers: &[u16], closes_others: bool) {
        self.state.send_modify(|state| {
            state.servers = servers.to_vec();
            state.epoch += u64::from(closes_others);
        });
    }
}

async fn connect(process: TcpStream, server: u16, state: watch::Receiver<State>) {
    let mut ended = state.clone();
    let epoch = ended.borrow().epoch;
    let work = async {
        state.clone().wait_for(|state| state.mode != Mode::Silent).await.ok()?;
        if state.borrow().mode == Mode::Cut {
            return None;
        }
        let server = TcpStream::connect(("127.0.0.1", server)).await.ok()?;
        let _ = (process.set_nodelay(true), server.set_nodelay(true));
        let ((from_process, to_process), (from_server, to_server)) = (process.into_split(), server.into_split());
        tokio::select! {
            () = pump(from_process, to_server, state.clone(), Mode::ToDatabase) => {}
            () = pump(from_server, to_process, state, Mode::ToProcess) => {}
        }
        Some(())
    };
    tokio::select! {
        _ = work => {}
        _ = ended.wait_for(|state| state.epoch != epoch) => {}
    }
}

/// Passes bytes on, except while the proxy is silent in this direction.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>, silent: Mode) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let passes = |state: &State| state.mode != Mode::Silent && state.mode != silent;
        let Ok(is_late) = state.wait_for(passes).await.map(|state| state.mode == Mode::Late) else { return };
        if is_late {
            tokio::time::sleep(LATE).await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
