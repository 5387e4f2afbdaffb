//! Archives as programs of a distribution make them.

use std::process::{Command, Stdio};

use super::*;

/// `None`: there is no such program here.
fn compressed(command: &[&str], bytes: &[u8]) -> Option<Vec<u8>> {
    let (program, arguments) = command.split_first().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("in");
    std::fs::write(&file, bytes).unwrap();
    let input = std::fs::File::open(&file).unwrap();
    let output = Command::new(program).args(arguments).stdin(input).stderr(Stdio::null()).output().ok()?;
    assert!(output.status.success(), "{command:?}");
    Some(output.stdout)
}

const PROGRAM: &str = "usr/lib/ostree/ostree-prepare-root";

fn main_archive() -> Vec<u8> {
    // More than a piece, and than a block of lz4.
    archive_of(170_000)
}

fn archive_of(lines: usize) -> Vec<u8> {
    let large: String = (0..lines).map(|number| format!("{number:07}").repeat(8)).collect();
    archive(&[
        ("usr/lib/large", &large),
        ("lib/ostree/prepare-root.conf", "[composefs]\nenabled=yes\n"),
        (PROGRAM, "\x7fELF ostree-prepare-root (firstroot) 0.1.0\n"),
    ])
}

fn look(bytes: &[u8]) -> (Contents, Result<(), UnpackError>) {
    let mut contents = Contents::default();
    let result = read(bytes, &mut contents);
    (contents, result)
}

fn is_whole(bytes: &[u8], what: &str) {
    let (contents, result) = look(bytes);
    result.unwrap_or_else(|error| panic!("{what}: {error}"));
    let program = contents.prepare_root().unwrap_or_else(|| panic!("{what}"));
    assert_eq!(
        (program.path.as_str(), program.firstroot.as_deref()),
        ("/usr/lib/ostree/ostree-prepare-root", Some("0.1.0"))
    );
    let parsed = contents.configuration().unwrap();
    assert_eq!(parsed.conf.composefs.as_str(), "yes", "{what}");
    assert!(contents.has("/usr/lib/large") && !contents.has("/etc"));
}

#[test]
fn every_way_to_compress_is_read_after_an_early_archive_and_before_an_appended_one() {
    let early = archive(&[("kernel/x86/microcode/GenuineIntel.bin", "microcode")]);
    let appended = archive(&[("usr/lib/appended", "")]);
    let main = main_archive();
    is_whole(&main, "uncompressed");
    let mut tried = 0;
    for command in [
        &["gzip", "-9"][..],
        &["zstd", "-3", "-q"],
        &["zstd", "-15", "-T0", "-q"],
        &["xz", "--check=crc32", "--lzma2=dict=1MiB"],
        &["lz4", "-l", "-q"],
    ] {
        let Some(compressed) = compressed(command, &main) else {
            eprintln!("skipped: {command:?} is not installed");
            continue;
        };
        tried += 1;
        let padded = [early.as_slice(), &[0; 300]].concat();
        let all = [padded, compressed.clone(), appended.clone()].concat();
        is_whole(&all, command[0]);
        assert!(look(&all).0.has("usr/lib/appended"), "{command:?}");
        for cut in [compressed.len() - 1, compressed.len() / 2, 7] {
            let (_, result) = look(&compressed[..cut]);
            assert!(result.as_ref().is_err_and(UnpackError::is_certain), "{command:?} cut at {cut}: {result:?}");
        }
    }
    assert!(tried >= 2, "only {tried} programs that compress");
}

#[test]
fn a_format_that_is_not_read_is_no_damage() {
    for (bytes, is_certain) in [(&b"BZh91AY"[..], false), (b"]\0\0\x80\0", false), (b"\x89LZO\0", false), (b"MZ", true)]
    {
        let (_, result) = look(bytes);
        assert_eq!(result.unwrap_err().is_certain(), is_certain, "{bytes:?}");
    }
}

/// Headers and chunks of every kind are passed by, up to the next block.
#[test]
fn xz_is_read_with_all_that_it_has() {
    let main = archive_of(9_000);
    for arguments in [
        &["--check=crc64", "-T2", "--block-size=100000", "-6"][..],
        &["--check=sha256", "--x86", "--delta=dist=4", "--lzma2=dict=128MiB"],
        &["--check=none", "--block-size=99999", "-0"],
    ] {
        let command = [&["xz"], arguments].concat();
        let Some(compressed) = compressed(&command, &main) else { return };
        is_whole(&compressed, arguments[0]);
    }
}

/// Such headers decide how much memory a decoder takes; `fuzz/tests/bounds` measures it.
#[test]
fn a_large_dictionary_is_no_damage() {
    let Some(mut block) = compressed(&["xz", "--check=crc32", "--lzma2=dict=1MiB"], &archive_of(100)) else { return };
    // The dictionary of the first block; its checksum is not looked at before.
    assert_eq!(block[12 + 2..12 + 5], [0x21, 1, 16]);
    block[12 + 4] = 40;
    let window = [b"\x28\xb5\x2f\xfd\x00".as_slice(), &[(31 - 10) << 3], &[0; 20]].concat();
    let segment = [b"\x28\xb5\x2f\xfd\xe0".as_slice(), &(1_u64 << 31).to_le_bytes(), &[0; 20]].concat();
    for (bytes, name) in [(block, "xz"), (window, "zstd"), (segment, "zstd")] {
        let (_, result) = look(&bytes);
        let error = result.unwrap_err();
        assert!(!error.is_certain() && error.to_string().starts_with(&format!("it is compressed by {name} with a")));
    }
}

#[test]
fn later_files_win_and_links_lead_where_they_lead() {
    let both = [
        archive(&[("etc/ostree/prepare-root.conf", "[composefs]\nenabled=no\n")]),
        archive(&[
            ("etc/ostree/prepare-root.conf", "[composefs]\nenabled=maybe\n"),
            ("etc/ostree/prepare-root.conf.d/10-a.conf", "[boot]\nrecover=no\n"),
        ]),
    ];
    let (contents, result) = look(&both.concat());
    result.unwrap();
    let parsed = contents.configuration().unwrap();
    assert_eq!((parsed.conf.composefs.as_str(), parsed.conf.boot_recover), ("maybe", false));
    assert_eq!(contents.prepare_root(), None);
}

/// A name of inode 7, which has two names, and no trailer.
fn linked(name: &str, content: &str) -> Vec<u8> {
    let mut bytes = archive(&[(name, content)]);
    bytes[6..14].copy_from_slice(b"00000007");
    bytes[6 + 8 * 4..14 + 8 * 4].copy_from_slice(b"00000002");
    bytes.truncate(bytes.len() - archive(&[]).len());
    bytes
}

#[test]
fn a_name_gets_no_content_of_another_archive() {
    let program = "ostree-prepare-root (firstroot) 0.1.0\n";
    let all = [linked(PROGRAM, ""), archive(&[]), linked("usr/bin/other", program), archive(&[])];
    let (contents, result) = look(&all.concat());
    result.unwrap();
    let found = contents.prepare_root().unwrap();
    assert_eq!((found.firstroot.as_deref(), found.is_executable), (None, false));
}

#[test]
fn a_file_with_several_names_has_its_content_with_the_last_one() {
    let program = "ostree-prepare-root (firstroot) 0.1.0\n";
    let all = [linked(PROGRAM, ""), linked("usr/bin/other", program), archive(&[])];
    let (contents, result) = look(&all.concat());
    result.unwrap();
    let found = contents.prepare_root().unwrap();
    assert_eq!((found.firstroot.as_deref(), found.is_executable), (Some("0.1.0"), true));
}

/// An EFI program of x86-64 with these sections, of which the second one has this content.
fn image(names: [&str; 2], content: &[u8]) -> Vec<u8> {
    const HEADERS: u32 = 0x40 + 24 + 240 + 80;
    let mut bytes = [b"MZ".as_slice(), &[0; 58], &[0x40, 0, 0, 0], b"PE\0\0", &[0x64, 0x86, 2, 0], &[0; 12]].concat();
    bytes
        .extend([&[240, 0, 0, 0, 0x0b, 2], [0; 66].as_slice(), &[10, 0], &[0; 38], &[16, 0, 0, 0], &[0; 128]].concat());
    for name in names {
        let padded = [name.as_bytes(), &[0; 16]].concat();
        let size = u32::try_from(content.len()).unwrap();
        bytes.extend(
            [&padded[..8], &size.to_le_bytes(), &[0; 4], &(size + 100).to_le_bytes(), &HEADERS.to_le_bytes(), &[0; 16]]
                .concat(),
        );
    }
    [bytes.as_slice(), content, &[0xff; 100]].concat()
}

#[test]
fn the_initramfs_in_a_kernel_is_unpacked_and_what_follows_it_is_not_read() {
    let place = tempfile::tempdir().unwrap();
    let open = |bytes: &[u8]| {
        let path = place.path().join("vmlinuz");
        std::fs::write(&path, bytes).unwrap();
        std::fs::File::open(path).unwrap()
    };
    let archive = archive(&[("usr/lib/ostree/prepare-root.conf", "[sysroot]\n")]);
    let mut contents = Contents::default();
    let inside = super::of_kernel(open(&image([".linux", ".initrd"], &archive))).unwrap().unwrap();
    read(inside, &mut contents).unwrap();
    assert!(contents.has("/usr/lib/ostree/prepare-root.conf"));
    assert!(super::of_kernel(open(&image([".text", ".data"], &archive))).unwrap().is_none());
    assert!(super::of_kernel(open(b"MZ")).unwrap().is_none());
}
