//! Event streams: replay, following, ends.

use integration_tests::{Sent, TestServer, eventually, kill};
use serde_json::Value;

/// Ids of the events of a run, as its files hold them.
fn written(server: &TestServer, id: &str) -> Vec<u64> {
    let mut ids = Vec::new();
    for attempt in 1.. {
        let path = server.run_folder(id).join(format!("attempts/{attempt}/events.jsonl"));
        let Ok(text) = std::fs::read_to_string(path) else { break };
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        ids.extend(events.map(|event| attempt * 1_000_000_000 + event["seq"].as_u64().unwrap()));
    }
    ids
}

fn ids(sent: &[Sent]) -> Vec<u64> {
    sent.iter().filter_map(|sent| sent.id).collect()
}

/// A new run, and its whole stream with the states: another run holds the device until somebody
/// listens, so that none is missed.
fn told(server: &TestServer, name: &str) -> (String, Vec<Sent>) {
    let holder = server.create("steps=1000000");
    server.wait_status(&holder, "running");
    let id = server.create(name);
    let events = server.events(&id, "?status=true", None);
    server.post(&format!("/api/v1/runs/{holder}/cancel"), &serde_json::json!({}));
    (id, events.collect())
}

#[test]
fn a_stream_holds_every_event_once_and_ends_with_the_run() {
    let server = TestServer::start();
    let id = server.create("steps=30");
    let events = server.events(&id, "", None);
    assert_eq!(events.headers["content-type"], "text/event-stream");
    assert_eq!(events.headers["x-accel-buffering"], "no");
    assert_eq!(events.headers["cache-control"], "no-store");
    let sent: Vec<Sent> = events.collect();
    assert_eq!(ids(&sent), written(&server, &id));
    assert!(sent.len() > 120, "{}", sent.len());
    assert_eq!((sent[0].event.as_str(), &sent[0].data["kind"]), ("started", &"started".into()));
    assert_eq!(sent.last().unwrap().event, "finished");
}

#[test]
fn a_listener_that_comes_back_gets_exactly_the_rest() {
    let server = TestServer::start();
    let id = server.create("steps=60");
    let first: Vec<Sent> = server.events(&id, "", None).take(50).collect();
    let last = first.last().unwrap().id;
    let middle: Vec<Sent> = server.events(&id, "", last).take(40).collect();
    let after = middle.last().unwrap().id.unwrap();
    let rest: Vec<Sent> = server.events(&id, &format!("?after={after}"), None).collect();
    assert_eq!(ids(&[first, middle, rest].concat()), written(&server, &id));
    // Once the run has ended, the same from the files alone.
    let replayed: Vec<Sent> = server.events(&id, "", last).collect();
    assert_eq!(ids(&replayed), written(&server, &id)[50..]);
    let none: Vec<Sent> = server.events(&id, "", replayed.last().unwrap().id).collect();
    assert_eq!(none, []);
}

#[test]
fn many_listeners_at_any_time_get_the_same() {
    let server = TestServer::start();
    let id = server.create("steps=80 pace=2");
    let all: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let listen = |delay: u64| {
            let (server, id) = (&server, &id);
            scope.spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(delay));
                ids(&server.events(id, "", None).collect::<Vec<Sent>>())
            })
        };
        let listeners: Vec<_> = (0..20).map(|i| listen(i * 15)).collect();
        listeners.into_iter().map(|listener| listener.join().unwrap()).collect()
    });
    let whole = written(&server, &id);
    assert!(all.iter().all(|ids| *ids == whole));
}

#[test]
fn states_are_told_on_request() {
    let server = TestServer::start();
    let sent = told(&server, "steps=10").1;
    let states = sent.iter().filter(|sent| sent.event == "status");
    let mut words: Vec<&str> = states.map(|sent| sent.data["status"].as_str().unwrap()).collect();
    words.dedup();
    assert_eq!(words, ["queued", "starting", "running", "succeeded"]);
    assert!(sent.iter().all(|sent| (sent.event == "status") == sent.id.is_none()));
    // The last message is the end, after every event.
    assert_eq!(sent.last().unwrap().data["status"], "succeeded");
}

#[test]
fn a_nonsense_position_is_refused() {
    let server = TestServer::start();
    let id = server.create("steps=1");
    let path = format!("/api/v1/runs/{id}/events");
    let answer = server.request("GET", &path, &[("last-event-id", "x")], None);
    assert_eq!(answer.status, 400);
    assert_eq!(server.get("/api/v1/runs/nonsense/events").status, 404);
}

#[test]
fn a_crash_leaves_one_stream_over_both_attempts() {
    let server = TestServer::start();
    let (id, sent) = told(&server, "steps=20 crash@10");
    assert_eq!(ids(&sent), written(&server, &id));
    let states = sent.iter().filter(|sent| sent.event == "status");
    let lost = states.clone().find(|sent| sent.data["status"] == "lost").expect("a lost state");
    let reason = lost.data["reason"].as_str().unwrap();
    assert!(reason.contains("signal 9") && reason.contains("retry 1 of 3"), "{reason}");
    assert_eq!(server.run(&id)["attempt"], 2);
    assert_eq!(server.run(&id)["status"], "succeeded");
    let metrics = server.get(&format!("/api/v1/runs/{id}/metrics")).json();
    let last = ids(&sent).last().copied();
    assert_eq!(metrics["last_event"].as_u64(), last, "a stream can go on from the curves");
    let series = metrics["series"].as_array().unwrap();
    let loss = series.iter().find(|series| series["name"] == "weight_loss").unwrap();
    let of = |name: &str| -> Vec<(u64, u64)> {
        let points = loss[name].as_array().unwrap().iter();
        points.map(|p| (p[0].as_u64().unwrap(), p[2].as_u64().unwrap())).collect()
    };
    let curve: Vec<(u64, u64)> =
        (1..=20).map(|step| (step, if step <= 8 { 1 } else { 2 })).collect();
    assert_eq!(of("points"), curve);
    assert_eq!(of("superseded"), [(9, 1), (10, 1)]);
}

#[test]
fn a_stream_over_a_restart_misses_nothing() {
    let mut server = TestServer::start();
    let id = server.create("steps=150 pace=10");
    server.wait_step(&id, 20);
    let mut sent: Vec<Sent> = server.events(&id, "", None).take(60).collect();
    let worker = server.worker_pid(&id);
    server.kill();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(integration_tests::is_alive(worker), "the worker died with its server");
    server.start_again();
    let run = server.run(&id);
    assert_eq!((&run["status"], &run["attempt"]), (&"running".into(), &1.into()));
    let step = run["progress"]["step"].as_u64().unwrap();
    assert!(step >= 20, "{step}");
    let after = sent.last().unwrap().id;
    sent.extend(server.events(&id, "", after));
    assert_eq!(ids(&sent), written(&server, &id));
    let run = server.run(&id);
    assert_eq!((&run["status"], &run["attempt"]), (&"succeeded".into(), &1.into()));
}

#[test]
fn one_stream_tells_several_runs_each_from_its_place() {
    let server = TestServer::start();
    let ids_of: Vec<String> =
        ["steps=30", "steps=20"].iter().map(|name| server.create(name)).collect();
    server.wait_status(&ids_of[1], "succeeded");
    let missing = "01890000-0000-7000-8000-000000000000";
    let after = written(&server, &ids_of[1])[10];
    let path = format!("/api/v1/events?runs={},{}:{after},{missing}", ids_of[0], ids_of[1]);
    let sent: Vec<Sent> = server.stream(&path, None).collect();
    let of = |id: &str| -> Vec<u64> {
        let own = sent.iter().filter(|sent| sent.id.is_some() && sent.data["run"] == id);
        own.filter_map(|sent| sent.id).collect()
    };
    assert_eq!(of(&ids_of[0]), written(&server, &ids_of[0]));
    assert_eq!(of(&ids_of[1]), written(&server, &ids_of[1])[11..]);
    let named = |event: &str| sent.iter().filter(|sent| sent.event == event).collect::<Vec<_>>();
    assert_eq!(named("status").len(), 2, "the states of two runs that have ended");
    assert_eq!(named("gone")[0].data, serde_json::json!({ "run": missing }));
    for (query, words) in [
        ("runs=nonsense", "`nonsense`"),
        (&*format!("runs={missing}:x"), "`ID:EVENT`"),
        (&*format!("runs={}", vec![missing; 101].join(",")), "at most 100 runs, not 101"),
    ] {
        let refused = server.get(&format!("/api/v1/events?{query}"));
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains(words), "{}", refused.text());
    }
}

#[test]
fn closed_streams_are_given_up() {
    let server = TestServer::start();
    let id = server.create("steps=1000000");
    server.wait_step(&id, 1);
    let open = |count: &str| {
        let line = format!("skein_event_streams {count}\n");
        eventually(&line, || server.get("/metrics").text().contains(&line));
    };
    let streams: Vec<_> = (0..3).map(|_| server.events(&id, "", None)).collect();
    open("3");
    drop(streams);
    open("0");
    kill(server.worker_pid(&id));
}
