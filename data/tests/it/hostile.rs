//! What nobody should bring. Every case is refused with these very words, and nothing is left.

use std::io::{Cursor, Write as _};

use rstest::rstest;
use skein_data::{Limits, Options};
use tar::{EntryType, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::bring::{Files, Place, classes, folder, gz, png, refused, tar, zip, zst};

fn good() -> Files {
    classes("", &["a", "b"], 3)
}

/// A tar of good files and one entry whose header is written by hand.
fn tar_with(name: &[u8], kind: EntryType, link: &str) -> Vec<u8> {
    let mut bytes = tar(&good());
    bytes.truncate(bytes.len() - 1024);
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 1024]);
    bytes
}

#[rstest]
#[case::parent(
    b"../../etc/cron.d/x",
    "`../../etc/cron.d/x` leads out of the archive by `..`; nothing is taken from such an archive"
)]
#[case::hidden_parent(
    b"a/../../x.png",
    "`a/../../x.png` leads out of the archive by `..`; nothing is taken from such an archive"
)]
#[case::absolute(
    b"/etc/passwd",
    "`/etc/passwd` is an absolute path; nothing is taken from such an archive"
)]
#[case::drive(b"C:\\x", "`C:\\x` is an absolute path; nothing is taken from such an archive")]
fn names_that_lead_elsewhere(#[case] name: &[u8], #[case] message: &str) {
    let place = Place::new();
    let (code, said) = refused(place.bytes("x.tar", &tar_with(name, EntryType::Regular, "")));
    assert_eq!((code.as_str(), said.as_str()), ("unsafe_name", message));
    let packed = gz(&tar_with(name, EntryType::Regular, ""));
    assert_eq!(refused(place.bytes("x.tgz", &packed)).1, message);
}

#[rstest]
#[case::symbolic(EntryType::Symlink, "`a/link.png` is a link; pack files and folders only")]
#[case::hard(EntryType::Link, "`a/link.png` is a link; pack files and folders only")]
#[case::character(EntryType::Char, "`a/link.png` is a device; pack files and folders only")]
#[case::block(EntryType::Block, "`a/link.png` is a device; pack files and folders only")]
#[case::pipe(EntryType::Fifo, "`a/link.png` is a pipe; pack files and folders only")]
#[case::sparse(EntryType::GNUSparse, "`a/link.png` is a sparse file; pack files and folders only")]
fn entries_that_are_no_files(#[case] kind: EntryType, #[case] message: &str) {
    let bytes = tar_with(b"a/link.png", kind, "/etc/passwd");
    let (code, said) = refused(Place::new().bytes("x.tar", &bytes));
    assert_eq!((code.as_str(), said.as_str()), ("unsafe_entry", message));
}

#[test]
fn a_zip_with_a_link_or_a_bad_name() {
    let place = Place::new();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("a/1.png", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let link = writer.finish().unwrap().into_inner();
    assert_eq!(
        refused(place.bytes("x.zip", &link)).1,
        "`a/1.png` is a link; pack files and folders only"
    );
    let mut files = good();
    files.push(("bad/../x.png".into(), png(1)));
    // The writer mends such names; so they are put in afterwards.
    let mut bytes = zip(&vec![("aa/bb/x.png".into(), png(1))]);
    replace(&mut bytes, b"aa/bb/x.png", b"aa/../x.png");
    assert_eq!(
        refused(place.bytes("x.zip", &bytes)).1,
        "`aa/../x.png` leads out of the archive by `..`; nothing is taken from such an archive"
    );
    replace(&mut bytes, b"aa/../x.png", b"..\\..\\x.png");
    assert_eq!(
        refused(place.bytes("x.zip", &bytes)).1,
        "`../../x.png` leads out of the archive by `..`; nothing is taken from such an archive"
    );
    let mut twice = zip(&vec![("a/1.png".into(), png(1)), ("a/2.png".into(), png(2))]);
    replace(&mut twice, b"a/2.png", b"a/1.png");
    let (code, said) = refused(place.bytes("x.zip", &twice));
    assert_eq!(
        (code.as_str(), said.as_str()),
        ("duplicate_name", "`a/1.png` is there twice; pack every file once")
    );
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|part| part == from) {
        bytes[at + found..at + found + to.len()].copy_from_slice(to);
        at += found + to.len();
    }
}

#[test]
fn a_link_in_a_folder() {
    let place = Place::new();
    let top = place.path("set");
    folder(&top, &good());
    std::os::unix::fs::symlink("/etc/passwd", top.join("a/9.png")).unwrap();
    let (_, said) = refused(place.source(&top, "set", &Options::default()));
    assert_eq!(said, "`a/9.png` is a link; pack files and folders only");
}

#[test]
fn a_trap_of_zeros() {
    let place = Place::new();
    let zeros = vec![0; 101 << 20];
    let bytes = zip(&vec![("a/1.png".into(), zeros)]);
    assert!(bytes.len() < 200 << 10, "{}", bytes.len());
    let (code, said) = refused(place.bytes("x.zip", &bytes));
    assert_eq!(
        (code.as_str(), said.as_str()),
        ("archive_bomb", "it unpacks to more than 200 times its size, as only a trap does")
    );
    // As a tar that is packed twice, and as a hidden file.
    let within = tar(&vec![("a/.hidden".into(), vec![0; 101 << 20])]);
    let (code, _) = refused(place.bytes("x.tgz", &gz(&within)));
    assert_eq!(code, "archive_bomb");
}

#[test]
fn a_name_of_a_tar_that_never_ends() {
    let mut header = Header::new_gnu();
    header.set_path("././@LongLink").unwrap();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(1 << 30);
    header.set_cksum();
    let bytes = [header.as_bytes().as_slice(), &vec![b'a'; 1 << 20]].concat();
    let (_, said) = refused(Place::new().bytes("x.tar", &bytes));
    assert_eq!(
        said,
        "the archive is damaged: a name or its attributes are longer than 65536 bytes"
    );
}

#[test]
fn more_than_is_allowed() {
    let place = Place::new();
    let with = |limits: Limits| {
        let options = Options { limits, ..Options::default() };
        refused(place.with("x.zip", &zip(&good()), &options))
    };
    assert_eq!(
        with(Limits { files: 5, ..Limits::default() }),
        ("too_many_files".into(), "there are more than 5 files".into())
    );
    assert_eq!(
        with(Limits { bytes: 1 << 10, ..Limits::default() }),
        ("too_large".into(), "there are more than 1 KiB once it is unpacked".into())
    );
    assert_eq!(
        with(Limits { classes: 1, ..Limits::default() }),
        ("too_many_classes".into(), "there are more than 1 classes".into())
    );
}

#[test]
fn a_size_that_is_forged() {
    let place = Place::new();
    let mut bytes = zip(&good());
    let at = bytes.windows(4).position(|part| part == b"PK\x01\x02").unwrap();
    let size = u32::from_le_bytes(bytes[at + 24..at + 28].try_into().unwrap());
    for (forged, message) in [
        (size - 1, "`a/000.png` is damaged: it holds more bytes than the archive declares"),
        (4_000_000_000, "`a/000.png` is damaged: it holds fewer bytes than the archive declares"),
    ] {
        bytes[at + 24..at + 28].copy_from_slice(&forged.to_le_bytes());
        assert_eq!(refused(place.bytes("x.zip", &bytes)), ("damaged".into(), message.into()));
    }
    bytes[at + 24..at + 28].copy_from_slice(&size.to_le_bytes());
    bytes[at + 16] ^= 1;
    assert_eq!(
        refused(place.bytes("x.zip", &bytes)).1,
        "`a/000.png` is damaged: its checksum is wrong"
    );
    bytes[at + 16] ^= 1;
    bytes[at + 20..at + 24].copy_from_slice(&4_000_000_000_u32.to_le_bytes());
    assert_eq!(
        refused(place.bytes("x.zip", &bytes)).1,
        "the upload is cut off within `a/000.png`; send it again"
    );
    bytes[at + 42..at + 46].copy_from_slice(&7_u32.to_le_bytes());
    assert_eq!(
        refused(place.bytes("x.zip", &bytes)).1,
        "`a/000.png` is damaged: the directory points to no file"
    );
}

#[test]
fn an_encrypted_zip() {
    let mut bytes = zip(&good());
    let at = bytes.windows(4).position(|part| part == b"PK\x01\x02").unwrap();
    bytes[at + 8] |= 1;
    let found = refused(Place::new().bytes("x.zip", &bytes));
    assert_eq!(
        found,
        ("encrypted".into(), "`a/000.png` is encrypted; pack it without a password".into())
    );
    bytes[at + 8] &= !1;
    bytes[at + 10] = 12;
    let (_, said) = refused(Place::new().bytes("x.zip", &bytes));
    assert_eq!(
        said,
        "`a/000.png` is damaged: it is packed by method 12; pack it as an ordinary zip (deflate)"
    );
}

#[test]
fn an_upload_that_was_cut_off() {
    let place = Place::new();
    let (zipped, tarred) = (zip(&good()), tar(&good()));
    for (name, bytes) in [
        ("x.zip", zipped),
        ("x.tar", tarred.clone()),
        ("x.tgz", gz(&tarred)),
        ("x.tar.zst", zst(&tarred)),
    ] {
        for keep in [bytes.len() - 1, bytes.len() / 2, 600] {
            let keep = if name == "x.tar" { keep.min(bytes.len() - 1024) } else { keep };
            let (code, said) = refused(place.bytes(name, &bytes[..keep]));
            assert!(["cut_off", "damaged"].contains(&code.as_str()), "{name} {keep}: {said}");
        }
    }
    let (code, said) = refused(place.bytes("x.zip", &zip(&good())[..1000]));
    assert_eq!(
        (code.as_str(), said.as_str()),
        ("cut_off", "the upload is cut off within the archive; send it again")
    );
}

#[test]
fn options_that_make_no_sense() {
    let place = Place::new();
    let with = |options: Options| refused(place.with("x.zip", &zip(&good()), &options));
    let size = |size| Options { size: Some(size), ..Options::default() };
    assert_eq!(with(size(7)).1, "a side of 7 pixels is not within 8 to 512");
    assert_eq!(with(size(u32::MAX)).1, "a side of 4294967295 pixels is not within 8 to 512");
    let share = |test_share| Options { test_share, ..Options::default() };
    assert_eq!(with(share(1.0)).1, "a test share of 1 is not between 0 and 1");
    assert_eq!(with(share(f64::NAN)).1, "a test share of NaN is not between 0 and 1");
}

#[test]
fn a_version_is_never_overwritten() {
    let place = Place::new();
    std::fs::create_dir(place.out()).unwrap();
    std::fs::write(place.path("upload"), zip(&good())).unwrap();
    let result = skein_data::prepare(
        &place.path("upload"),
        "x.zip",
        &Options::default(),
        &place.path("scratch"),
        &place.out(),
        &mut |_| (),
    );
    assert_eq!(refused(result).0, "io");
    assert!(place.out().is_dir());
}

#[test]
fn names_are_kept_as_data() {
    let mut files = Files::new();
    for (class, name) in (0..).zip(["<b>\"x\"&'", "a\u{202e}gnp", "new\nline"]) {
        for number in 0..3 {
            files.push((format!("top/{name}/{number}.png"), png(class * 10 + number)));
        }
    }
    let place = Place::new();
    let prepared = place.bytes("x.tar", &tar(&files)).unwrap();
    assert_eq!(prepared.facts.classes, ["<b>\"x\"&'", "a\\u{202e}gnp", "new\\u{a}line"]);
    let names = std::fs::read_to_string(place.out().join("files.jsonl")).unwrap();
    assert_eq!(names.lines().count(), 9);
    assert!(names.contains("top/new\\nline/"), "{names}");
}

#[test]
fn names_that_are_no_utf_8_are_used_and_told() {
    let place = Place::new();
    let mut files = good();
    files.extend(classes("", &["cXX"], 3));
    let mut bytes = zip(&files);
    replace(&mut bytes, b"cXX/", b"c\xff\xfe/");
    let prepared = place.bytes("x.zip", &bytes).unwrap();
    assert_eq!(prepared.facts.classes, ["a", "b", "c\\xff\\xfe"]);
    let finding =
        prepared.report.findings.iter().find(|finding| finding.code == "names_not_utf8").unwrap();
    assert_eq!((finding.count, finding.examples[0].as_str()), (3, "c\\xff\\xfe/000.png"));
}

#[test]
fn a_zip_behind_other_bytes_and_a_comment_are_read() {
    let mut bytes = b"#!/bin/sh\nexit\n".to_vec();
    bytes.extend(zip(&good()));
    let mut writer = ZipWriter::new_append(Cursor::new(zip(&good()))).unwrap();
    writer.set_comment("PK\u{5}\u{6} is no end").unwrap();
    let commented = writer.finish().unwrap().into_inner();
    assert!(Place::new().bytes("x.zip", &commented).is_ok());
    // What begins as a script is none by its content.
    assert_eq!(refused(Place::new().bytes("x.zip", &bytes)).0, "misnamed");
    let mut large = Vec::new();
    large.write_all(b"PK\x03\x04 a part of something else").unwrap();
    large.extend(zip(&good()));
    assert!(Place::new().bytes("x.zip", &large).is_ok());
}
