//! Graceful shutdown: the services finish their requests, and end without an error.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use super::{
    http::{Answer, Request, connect},
    service::{Folder, Service},
};

#[test]
fn given_a_request_under_way_when_asked_to_stop_then_it_is_answered_and_the_service_ends() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::new();
        let service = folder.start();
        let upload = Upload::begin(&service);
        service.signal(signal);
        service.wait_for_log("stopping");
        let answer = upload.finish();
        assert_eq!(answer.status, 201, "{signal}: {answer:?}");
        service.end();
    }
}

#[test]
fn given_a_connection_that_says_nothing_when_asked_to_stop_then_the_service_ends_all_the_same() {
    let folder = Folder::new();
    let service = folder.start();
    let silent = connect(&service.address);
    // The service has received it by the time it has answered a later request.
    assert_eq!(service.send(&Request::new("GET", "/healthz")).status, 200);
    service.stop();
    drop(silent);
}

#[test]
fn given_an_upload_that_never_ends_when_asked_to_stop_then_the_service_waits_for_a_while_only() {
    let folder = Folder::new();
    let service = folder.start();
    let upload = Upload::begin(&service);
    service.stop();
    drop(upload);
}

/// An upload whose handler waits for the rest of the body.
struct Upload {
    stream: TcpStream,
    rest: String,
}

impl Upload {
    fn begin(service: &Service) -> Self {
        let (method, path, body, _) = crate::API.add;
        let request = Request::new(method, path)
            .bearer(service.key.as_deref().unwrap())
            .json(body)
            .header("Expect", "100-continue");
        let mut stream = connect(&service.address);
        stream.write_all(request.head(&service.address).as_bytes()).unwrap();
        // Servers send this once the body is read.
        let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut heard = vec![0; expected.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(expected));
        let (now, later) = request.body.split_at(10);
        stream.write_all(now.as_bytes()).unwrap();
        Upload { stream, rest: later.to_owned() }
    }

    fn finish(mut self) -> Answer {
        self.stream.write_all(self.rest.as_bytes()).unwrap();
        Answer::read(&mut self.stream)
    }
}
