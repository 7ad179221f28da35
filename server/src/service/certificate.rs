//! The last proofs of `skein certify`, which it leaves in the data folder.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use skein_core::certificate::{CERTIFICATE_VERSION, Certificate};
use skein_core::folder;

use super::blocking;
use super::runs::Runs;

/// Most bytes that are read; a certificate has a few thousand.
const MOST_BYTES: u64 = 1 << 20;

impl Runs {
    /// The certificate, if there is one that can be read.
    pub async fn certificate(&self) -> Option<Certificate> {
        let path = self.folder.root().join(folder::CERTIFICATE);
        blocking(move || Ok(read(&path))).await.ok().flatten()
    }
}

fn read(path: &Path) -> Option<Certificate> {
    let mut text = String::new();
    File::open(path).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    let found: Result<Certificate, serde_json::Error> = serde_json::from_str(&text);
    if let Err(error) = &found {
        tracing::warn!(path = %path.display(), %error, "the certificate cannot be read");
    }
    found.ok().filter(|found| found.version == CERTIFICATE_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certificate.json");
        assert_eq!(read(&path), None);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read(&path), None);
        let proofs = vec![];
        let (at, worker, device) = (String::new(), String::new(), "cpu".to_owned());
        let one = Certificate { version: 1, at, worker, device, space: None, quick: true, proofs };
        std::fs::write(&path, serde_json::to_string(&one).unwrap()).unwrap();
        assert_eq!(read(&path), Some(one.clone()));
        let newer = Certificate { version: 2, ..one };
        std::fs::write(&path, serde_json::to_string(&newer).unwrap()).unwrap();
        assert_eq!(read(&path), None);
    }
}
