//! What many listeners of one run cost.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use integration_tests::{TestServer, raise_open_files};

const CLIENTS: usize = 1_000;
const EVENTS: u64 = 12_000;
/// Threads that read for the clients, each for its own.
const READERS: usize = 4;

/// Opens the stream of a run from its beginning.
fn listen(server: &TestServer, id: &str) -> TcpStream {
    let host = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = format!(
        "GET /api/v1/runs/{id}/events HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Reads in turn what has come for each, to the end of every stream; the bytes of each.
fn read(mut streams: Vec<TcpStream>) -> Vec<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = vec![0; streams.len()];
    let mut open: Vec<usize> = (0..streams.len()).collect();
    while !open.is_empty() {
        open.retain(|index| {
            let count = streams[*index].read(&mut buffer).unwrap();
            bytes[*index] += count as u64;
            count > 0
        });
    }
    bytes
}

#[test]
fn a_thousand_replays_cost_little_memory_and_give_it_back() {
    raise_open_files();
    let server = TestServer::start();
    let id = server.create(&format!("steps=2 lines={EVENTS}"));
    server.wait_status(&id, "succeeded");
    // One replay has been done before, as on any server.
    let alone = read(vec![listen(&server, &id)])[0];
    let idle = server.memory_mb();
    let (most, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let bytes: Vec<u64> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(server.memory_mb(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let streams = |_| (0..CLIENTS / READERS).map(|_| listen(&server, &id)).collect();
        let readers: Vec<_> =
            (0..READERS).map(streams).map(|own| scope.spawn(|| read(own))).collect();
        let bytes = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        over.store(true, Ordering::Relaxed);
        bytes
    });
    assert_eq!(bytes.len(), CLIENTS);
    // The sizes of chunks may differ, the events do not.
    assert!(bytes.iter().all(|bytes| bytes.abs_diff(alone) < alone / 100), "{alone} {bytes:?}");
    let most = most.into_inner();
    assert!(most <= idle + 100, "{most} MB while they listened, {idle} MB before");
    std::thread::sleep(Duration::from_secs(10));
    let after = server.memory_mb();
    assert!(after <= idle + 30, "{after} MB after they had left, {idle} MB before");
}
