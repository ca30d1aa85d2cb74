//! CPU time of a server process for one request, over loopback: axum and actix-web, bare and with the layer.
//!
//! `cargo bench -p apikey-benches --bench end_to_end` (add `-- quick` for a rough result)
//!
//! Each pair sends one burst of requests to the bare server and one to the guarded server, in alternating order, and
//! compares the CPU time that the kernel accounted to the two processes. It needs Linux's `/proc`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use actix_apikey::ApiKeyMiddleware;
use apikey_benches::{
    keys::{self, Order},
    rounds::median,
};
use axum::{Router, routing::get};
use tower_apikey::ApiKeyLayer;

const KEYS: usize = 1_000;
const CONNECTIONS: usize = 8;

fn main() {
    let args: Vec<_> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "serve") {
        return serve(&args[at + 1]);
    }
    let quick = args.iter().any(|arg| arg == "quick");
    let (pairs, requests) = if quick { (6, 4_000) } else { (30, 20_000) };
    println!("CPU time of the server a request, {pairs} interleaved pairs of {requests} requests, {KEYS} keys");
    for framework in ["axum", "actix"] {
        compare(framework, pairs, requests);
    }
}

fn compare(framework: &str, pairs: usize, requests: usize) {
    let mut servers = [Server::start(&format!("{framework}-bare")), Server::start(&format!("{framework}-guarded"))];
    let keys = keys::generate(KEYS);
    for server in &mut servers {
        // Looks every key up once, and warms both processes up.
        server.burst(&keys, 4 * KEYS, 0);
    }
    let mut differences = Vec::new();
    let mut micros = [Vec::new(), Vec::new()];
    for pair in 0..pairs {
        let mut took = [0.0; 2];
        for place in 0..2 {
            let which = (pair + place) % 2;
            took[which] = servers[which].burst(&keys, requests, pair as u64 + 1);
        }
        differences.push(100.0 * (took[1] - took[0]) / took[0]);
        micros[0].push(took[0]);
        micros[1].push(took[1]);
    }
    let middle = median(&mut differences);
    let [bare, guarded] = micros.map(|mut micros| median(&mut micros));
    println!(
        "{framework:>6}: bare {bare:.2} µs, guarded {guarded:.2} µs, median difference {middle:+.1} %, \
         upper 95 % bound {:+.1} %",
        upper_bound(&differences),
    );
}

/// Returns the upper 95 % bound of the median of sorted `values`: the order statistic that the median exceeds with a
/// probability below 5 % (sign test).
fn upper_bound(values: &[f64]) -> f64 {
    let n = values.len();
    let mut probability = 0.5_f64.powi(n as i32);
    let mut at_most = probability;
    let mut below = 0;
    while below < n && at_most < 0.05 {
        below += 1;
        probability *= (n - below + 1) as f64 / below as f64;
        at_most += probability;
    }
    values[(n - below).min(n - 1)]
}

struct Server {
    child: Child,
    connections: Vec<BufReader<TcpStream>>,
}

impl Server {
    fn start(kind: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child =
            Command::new(program).args(["serve", kind]).stdout(Stdio::piped()).spawn().expect("a server process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("the address");
        let connect = |_| {
            let stream = TcpStream::connect(line.trim()).expect("a connection");
            stream.set_nodelay(true).expect("an option");
            BufReader::new(stream)
        };
        Server { child, connections: (0..CONNECTIONS).map(connect).collect() }
    }

    /// Sends requests in rounds, one request on every connection at a time. Returns microseconds of CPU time per
    /// request.
    fn burst(&mut self, keys: &[String], requests: usize, seed: u64) -> f64 {
        let mut order = Order::new(seed);
        let before = self.cpu_nanos();
        for round in 0..requests / CONNECTIONS {
            for (n, connection) in self.connections.iter_mut().enumerate() {
                let key = match seed {
                    0 => &keys[(round * CONNECTIONS + n) % keys.len()],
                    _ => &keys[order.below(keys.len())],
                };
                let request = format!(
                    "GET /files HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\nauthorization: Bearer {key}\r\n\r\n"
                );
                connection.get_mut().write_all(request.as_bytes()).expect("written");
            }
            for connection in &mut self.connections {
                read_response(connection);
            }
        }
        (self.cpu_nanos() - before) as f64 / 1_000.0 / requests as f64
    }

    /// Returns the CPU time of all threads of the server, as the scheduler accounted it.
    fn cpu_nanos(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("Linux's /proc");
        let nanos = tasks.filter_map(|task| {
            let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        nanos.sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_response(connection: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    connection.read_line(&mut line).expect("a status line");
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    let mut length = 0;
    loop {
        line.clear();
        connection.read_line(&mut line).expect("a header line");
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().expect("a length");
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).expect("a body");
}

fn serve(kind: &str) {
    let layer = || ApiKeyLayer::new(keys::authenticator(2 * KEYS));
    let files = Router::new().route("/files", get(async || "[]"));
    match kind {
        "axum-bare" => serve_axum(files),
        "axum-guarded" => serve_axum(files.layer(layer())),
        "actix-bare" => serve_actix(false),
        _ => serve_actix(true),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve_axum(app: Router) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    axum::serve(listener, app).await.expect("it serves");
}

#[actix_web::main]
async fn serve_actix(guarded: bool) {
    use actix_web::{App, HttpServer, middleware::Condition, web};

    let authenticator = keys::authenticator(2 * KEYS);
    let server = HttpServer::new(move || {
        App::new()
            .wrap(Condition::new(guarded, ApiKeyMiddleware::new(authenticator.clone())))
            .route("/files", web::get().to(async || "[]"))
    });
    let server = server.workers(1).bind("127.0.0.1:0").expect("a port");
    println!("{}", server.addrs()[0]);
    server.run().await.expect("it serves");
}
