//! What listeners get of the files, and what it costs.

use super::*;
use crate::domain::ids::RunId;
use crate::storage::runs::RunRecord;
use skein_core::folder;
use skein_core::spec::RunSpec;

/// A run of two attempts with so many events each.
fn entry(run: &Path, events: u64) -> Entry {
    for attempt in [1, 2] {
        let folder = folder::attempt(run, attempt);
        std::fs::create_dir_all(&folder).unwrap();
        let lines = (1..=events).map(|seq| {
            format!(
                r#"{{"seq":{seq},"attempt":{attempt},"at":"2026-01-01T00:00:00Z","kind":"log","payload":{{"level":"info","message":"{}"}}}}"#,
                "m".repeat(200)
            ) + "\n"
        });
        std::fs::write(folder.join(folder::EVENTS), lines.collect::<String>()).unwrap();
    }
    let spec = serde_json::json!({
        "dataset": { "id": "fashion-mnist" },
        "space": { "preset": "toy-cell" },
        "search": { "optimizer": { "kind": "drnas" } },
    });
    let spec = RunSpec::parse(&spec).unwrap();
    Entry::new(RunId::new(), run.to_owned(), spec, RunRecord::queued("n".to_owned(), 0))
}

async fn pieces(entry: &Entry, after: u64) -> Vec<Arc<Piece>> {
    let (mut place, mut pieces) = (entry.replays.place(after), Vec::new());
    while let Some(piece) = entry.replays.piece(entry, place).await.unwrap() {
        place = piece.next;
        pieces.push(piece);
    }
    pieces
}

fn ids(text: &str) -> Vec<u64> {
    text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect()
}

#[tokio::test]
async fn listeners_share_pieces_which_end_with_the_last_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let entry = entry(dir.path(), 1_000);
    let first = pieces(&entry, 0).await;
    assert!(first.len() >= 8, "{}", first.len());
    assert!(first.iter().all(|piece| piece.text.len() < 3 * 64 * 1024));
    // A sent text keeps its piece: who comes meanwhile reads nothing.
    let sent: Vec<Bytes> = first.iter().map(|piece| piece.after(0)).collect();
    let addresses: Vec<*const Piece> = first.iter().map(Arc::as_ptr).collect();
    drop(first);
    let second = pieces(&entry, 0).await;
    assert_eq!(second.iter().map(Arc::as_ptr).collect::<Vec<_>>(), addresses);
    let weak: Vec<Weak<Piece>> = second.iter().map(Arc::downgrade).collect();
    drop((sent, second));
    assert!(weak.iter().all(|piece| piece.strong_count() == 0));
}

#[tokio::test]
async fn a_listener_gets_what_follows_and_reads_from_near_there() {
    let dir = tempfile::tempdir().unwrap();
    let entry = entry(dir.path(), 1_000);
    let all: Vec<u64> =
        [1, 2].into_iter().flat_map(|n| (1..=1_000).map(move |i| n * 1_000_000_000 + i)).collect();
    for warm in [false, true] {
        for index in [0, 1, 700, 999, 1_000, 1_001, 1_999] {
            let after = all[index];
            let pieces = pieces(&entry, after).await;
            let text: Vec<Bytes> = pieces.iter().map(|piece| piece.after(after)).collect();
            let text = String::from_utf8(text.concat()).unwrap();
            assert_eq!(ids(&text), all[index + 1..], "after {after}");
            if warm && index > 0 {
                let skipped = pieces.first().map_or(0, |piece| piece.events.len());
                assert!(skipped < 400, "{skipped} events in the first piece");
                assert!(entry.replays.place(after).last <= after);
            }
        }
    }
    let known = entry.replays.known().places.len();
    assert!((8..=20).contains(&known), "{known}");
}

#[tokio::test]
async fn a_listener_at_the_end_gets_what_is_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let entry = entry(dir.path(), 3);
    let held = pieces(&entry, 0).await;
    let path = folder::attempt(dir.path(), 2).join(folder::EVENTS);
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().last().unwrap().replace("\"seq\":3", "\"seq\":4");
    std::fs::write(&path, format!("{text}{line}\n")).unwrap();
    // The pieces from before still live and end before the new event.
    let now = pieces(&entry, 2_000_000_002).await;
    let texts: Vec<Bytes> = now.iter().map(|piece| piece.after(2_000_000_002)).collect();
    let text = String::from_utf8(texts.concat()).unwrap();
    assert_eq!(ids(&text), [2_000_000_003, 2_000_000_004]);
    assert!(text.contains(&format!("data: {{\"run\":\"{}\",\"seq\":4,", entry.id)), "{text}");
    drop(held);
}
