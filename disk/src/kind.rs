//! Kinds of file systems: whether other machines may work on the same files.

use std::io;
use std::path::Path;

/// File systems that several machines may mount at once, by the number that `statfs` gives.
const SHARED: &[(u32, &str)] = &[
    (0x0000_6969, "NFS"),
    (0x0000_517B, "SMB"),
    (0xFF53_4D42, "SMB"),
    (0xFE53_4D42, "SMB"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x00C3_6400, "CephFS"),
    (0xAAD7_AAEA, "PanFS"),
    (0x2003_0528, "OrangeFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636F, "OCFS2"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0102_1997, "9P"),
    (0x786F_4256, "a shared folder of VirtualBox"),
    (0x6573_5546, "FUSE"),
];

/// The name of the file system that holds a path, if other machines may mount it too.
///
/// # Errors
/// - the system does not say, for example because the path does not exist.
pub fn shared(path: &Path) -> io::Result<Option<&'static str>> {
    let found = u64::from_ne_bytes(rustix::fs::statfs(path)?.f_type.to_ne_bytes());
    Ok(named(found))
}

/// The system may widen the number with its sign.
fn named(kind: u64) -> Option<&'static str> {
    let known = SHARED.iter().find(|(number, _)| u64::from(*number) == kind & 0xFFFF_FFFF);
    known.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_mounts_are_told_from_disks() {
        assert_eq!(named(0x6969), Some("NFS"));
        assert_eq!(named(0xFFFF_FFFF_FE53_4D42), Some("SMB"), "widened with its sign");
        assert_eq!(named(0xEF53), None, "ext4");
        assert_eq!(shared(Path::new("/proc")).unwrap(), None);
        assert!(shared(Path::new("/no/such/place")).is_err());
    }
}
