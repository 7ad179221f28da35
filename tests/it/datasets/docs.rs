//! The documentation page does what it says.

use std::process::Command;

use integration_tests::pictures::{self, classes};
use integration_tests::{TestServer, program};

use super::settled;

const PAGE: &str = include_str!("../../../docs/datasets.md");

/// The blocks of one language, in order.
fn blocks(language: &str) -> Vec<String> {
    let mut parts = PAGE.split("```");
    parts.next();
    let all: Vec<&str> = parts.collect();
    let own =
        all.iter().step_by(2).filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    own.map(str::to_owned).collect()
}

#[test]
fn every_block_of_the_page_runs() {
    let server = TestServer::start();
    let files = classes(&["circle", "cross", "square"], 12, 24);
    pictures::write(&server.client_folder().join("photos"), &files);
    std::fs::write(server.client_folder().join("photos.zip"), pictures::zip(&files)).unwrap();
    let bin = program("skein").parent().unwrap().display().to_string();
    let run = |program: &str, text: &str| {
        let mut command = Command::new(program);
        let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
        command.env("PATH", path).env("SKEIN_URL", &server.url).env_remove("SKEIN_TOKEN");
        let flag = if program == "python3" { "-c" } else { "-ec" };
        let done =
            command.arg(flag).arg(text).current_dir(server.client_folder()).output().unwrap();
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(done.status.success(), "{text}\n{said}");
        said
    };
    let shell = blocks("sh");
    assert_eq!(shell.len(), 2);
    let said = run("sh", &shell[0]);
    assert!(said.contains("my-photos") && said.contains("circle, cross, square"), "{said}");
    let python = blocks("python");
    let said = run("python3", &python[0]);
    assert!(said.starts_with("photos ['circle', 'cross', 'square'] "), "{said}");
    if Command::new("curl").arg("--version").output().is_ok() {
        run("sh", &shell[1]);
        assert_eq!(settled(&server, "in-one")["state"], "ready");
    }
}
