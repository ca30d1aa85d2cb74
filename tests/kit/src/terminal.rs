//! A program on a pseudo-terminal, which sees what a person sees and types what a person types.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

/// A program that waits longer for its next step than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program on a terminal of its own, which is also the controlling one (`/dev/tty`).
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// Starts a program with the arguments, the variables and the folder of `command`.
    ///
    /// # Panics
    ///
    /// Panics if there is no terminal or no such program.
    #[must_use]
    pub fn start(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("a right to the terminal");
        unlockpt(&master).expect("an unlocked terminal");
        let name = ptsname(&master, Vec::new()).expect("the terminal's name");
        let device =
            OpenOptions::new().read(true).write(true).open(name.to_str().expect("a path")).expect("the terminal");
        let device = OwnedFd::from(device);
        let end = || Stdio::from(device.try_clone().expect("the terminal"));
        // setsid makes the terminal the controlling one, and then becomes the program.
        let mut started = Command::new("setsid");
        started.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => started.env(name, value),
                None => started.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            started.current_dir(folder);
        }
        let child = started.stdin(end()).stdout(end()).stderr(end()).spawn().expect("the program starts");
        drop(started);
        let keyboard = File::from(master);
        let mut output = keyboard.try_clone().expect("the terminal");
        let (send, screen) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match output.read(&mut buffer) {
                    Ok(read @ 1..) if send.send(buffer[..read].to_vec()).is_ok() => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // Reading fails once nothing has the terminal open any more.
                    _ => break,
                }
            }
        });
        Terminal { child, keyboard, screen, seen: String::new() }
    }

    /// Returns the program's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the screen shows `text`.
    ///
    /// # Panics
    ///
    /// Panics if it ends or hangs without.
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} is not shown: {:?}", self.seen),
            }
        }
    }

    /// Waits until the terminal shows nothing that is typed, as for a password.
    ///
    /// # Panics
    ///
    /// Panics if it goes on showing it.
    pub fn wait_until_hidden(&self) {
        let deadline = Instant::now() + PATIENCE;
        let is_shown = || tcgetattr(&self.keyboard).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ECHO));
        while is_shown() {
            assert!(Instant::now() < deadline, "the terminal shows what is typed: {:?}", self.seen);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types a line.
    ///
    /// # Panics
    ///
    /// Panics if the terminal is gone.
    pub fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).expect("the terminal takes the line");
    }

    /// Waits for the program's end. Returns its status and everything that was shown.
    ///
    /// # Panics
    ///
    /// Panics if it hangs.
    #[must_use]
    pub fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the program hangs: {:?}", self.seen);
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => break,
            }
        }
        let status = self.child.wait().expect("the program has ended");
        (status, self.seen.clone())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
