//! Servers that are killed while they prepare a data set.

use integration_tests::pictures::{classes, zip};
use integration_tests::{TestServer, eventually, is_alive, pause, resume, with_words};

use super::{add, left, settled};

/// The next server prepares it anew, whatever is left of the killed one's process.
#[test]
fn a_preparation_is_done_again_and_the_old_one_ends() {
    let mut server = TestServer::start();
    let many = zip(&classes(&["circle", "cross", "square"], 400, 64));
    assert_eq!(add(&server, "many.zip", &many).status, 201);
    let place = server.datasets().display().to_string();
    let preparing = || with_words(&["prepare-dataset", &place]);
    eventually("prepared", || !preparing().is_empty());
    let old = preparing()[0];
    pause(old);
    server.kill();
    server.start_again();
    let new = || preparing().into_iter().find(|&process| process != old);
    eventually("prepared again", || new().is_some());
    let new = new().expect("the second process");
    // The old one goes first: what it does to its end must not be in the new one's way.
    pause(new);
    resume(old);
    eventually("ended", || !is_alive(old));
    resume(new);
    let found = settled(&server, "many");
    assert_eq!(found["state"], "ready", "{found:#}");
    assert!(left(&server).is_empty(), "{:?}", left(&server));
}
