//! The REST interface of a lab.

use std::fs;
use std::path::PathBuf;

use super::{SlurmLab, conf};

/// Name of its daemon among the lab's processes.
const DAEMON: &str = "slurmrestd";

impl SlurmLab {
    /// Address of the REST interface.
    #[must_use]
    pub fn rest_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.place.rest_port())
    }

    /// File with a token for the account of this process.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.folder().join("token")
    }

    /// Starts the interface, and waits until it listens.
    pub(super) fn start_rest(&self) {
        let token = self.say("scontrol", &["token", "lifespan=3600"]);
        let token = token.strip_prefix("SLURM_JWT=").expect("a token");
        fs::write(self.token_file(), format!("{token}\n")).expect("a token's file");
        let mut command = self.command(DAEMON);
        let address = format!("127.0.0.1:{}", self.place.rest_port());
        command.args(["-a", "rest_auth/jwt", "-s", "openapi/v0.0.38", &address]);
        // It tells the controller only what a token says, and does not want to be root.
        command.env("SLURM_JWT", "daemon").env("SLURMRESTD_SECURITY", "disable_user_check");
        self.launch(DAEMON, &mut command);
        self.wait_until("slurmrestd listens", || std::net::TcpStream::connect(&address).is_ok());
    }
}

/// Settings of `slurm.conf` for tokens.
pub(super) fn settings(folder: &std::path::Path) -> Vec<(&'static str, String)> {
    let key = folder.join("etc/jwt.key");
    conf::write_key(&key);
    vec![
        ("AuthAltTypes", "auth/jwt".to_owned()),
        ("AuthAltParameters", format!("jwt_key={}", key.display())),
    ]
}
