//! The package of a worker that computes nothing.

use std::fs::{self, File};
use std::io::Write as _;

use sha2::{Digest as _, Sha256};
use skein_core::choice::Architecture;
use skein_core::draw::{Scene, svg};
use skein_core::event::ArchitectureNow;
use skein_core::folder;
use skein_core::manifest::{Manifest, ManifestFile};

use super::Worker;

impl Worker {
    pub(crate) fn package(&self, now: &ArchitectureNow) {
        let place = self.here.join(folder::ARTIFACTS);
        fs::create_dir_all(&place).expect("artifacts");
        let architecture = Architecture(now.choices.clone());
        let scene = Scene { architecture: Some(&architecture), ..Scene::of(&self.graph) };
        let mut files: Vec<(&str, Vec<u8>)> = vec![
            ("architecture.json", serde_json::to_vec(now).expect("json")),
            ("architecture.svg", svg(&scene).into_bytes()),
            ("model.safetensors", (0..100_000_u32).flat_map(u32::to_le_bytes).collect()),
            ("spec.json", serde_json::to_vec(&self.spec).expect("json")),
            ("metrics.csv", b"phase,step,epoch,name,value,attempt\n".to_vec()),
        ];
        if self.spec.dataset.tokens.is_some() {
            files.push((folder::VOCABULARY, b"[\"a\", \"b\"]".to_vec()));
        }
        let entry = |name: &str, bytes: &[u8]| ManifestFile {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let manifest =
            Manifest { files: files.iter().map(|(name, bytes)| entry(name, bytes)).collect() };
        let manifest = serde_json::to_vec(&manifest).expect("json");
        let zip = File::create(place.join(folder::RESULT_ZIP)).expect("zip");
        let mut zip = zip::ZipWriter::new(zip);
        let options = zip::write::SimpleFileOptions::default();
        for (name, bytes) in
            files.iter().map(|(name, bytes)| (*name, bytes)).chain([(folder::MANIFEST, &manifest)])
        {
            fs::write(place.join(name), bytes).expect("artifact");
            zip.start_file(name, options).expect("zip");
            zip.write_all(bytes).expect("zip");
        }
        zip.finish().expect("zip");
    }
}
