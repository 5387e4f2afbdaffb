//! Inputs of 256 KiB as nobody would write them.

use std::io;

use fuzz::corpus;
use fuzz::targets::Target;

use crate::{SIZE, variants};

/// For one target, each with a name.
pub(crate) fn inputs(target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs: Vec<(String, Vec<u8>)> = Vec::new();
    // The largest real file, over and over.
    let largest = corpus::inputs(target)?.into_iter().max_by_key(|(_, bytes)| bytes.len());
    inputs.extend(largest.map(|(name, bytes)| (format!("{name} again and again"), repeated(&bytes))));
    inputs.extend(
        pieces(target.name)
            .iter()
            .map(|piece| (format!("{:?} again and again", String::from_utf8_lossy(piece)), repeated(piece))),
    );
    inputs.extend(texts(target.name).into_iter().map(|text| (text.chars().take(40).collect(), text.into_bytes())));
    inputs.extend(variants::inputs(target.name));
    Ok(inputs)
}

fn repeated(piece: &[u8]) -> Vec<u8> {
    piece.repeat((SIZE / piece.len().max(1)).max(1))
}

/// Lines or words that `piece` makes of a number.
fn numbered(piece: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(SIZE + 100);
    for number in 0.. {
        text.push_str(&piece(number));
        if text.len() >= SIZE {
            break;
        }
    }
    text
}

fn long(piece: &str) -> String {
    piece.repeat(SIZE / piece.len())
}

/// What is repeated.
fn pieces(target: &str) -> &'static [&'static [u8]] {
    match target {
        "boot-entry" | "foreign-entry" => &[
            b"options a\n",
            b"initrd /i\n",
            b"a\n",
            b"\xe2\x80\xa8",
            b"\n",
            b"#\n",
            b"a\r",
            b"ostree/",
            b"linux /ostree/a\n",
            b"options ostree=/ostree/boot.1/os/",
        ],
        "kernel-arguments" | "kernel-command-line" => &[
            b"ostree=/x ",
            b"ostree ",
            b"x=y ",
            b"\"",
            b"\" ",
            b"x=\"a b\" ",
            b" ",
            b"-- ",
            b"---",
            b"androidboot ",
            b"androidboot_slot-suffix=_a ",
            b"ostree-prepare-root.composefs ",
            b"a ",
            b"\xff",
        ],
        "finalize-staged-conf" | "key-file" | "origin" | "prepare-root-conf" | "repo-config" => &[
            b"[sysroot]\nreadonly=true\n",
            b"[sysroot]\nreadonly=true\nreadonly=false\n",
            b"[etc]\n",
            b"\n",
            b"# \r\n",
            b"[",
            b"[a]",
            b"[a]\n",
            b"[a]\na=\n",
            b"[boot]\nmout=yes\n",
            b"[core]\nmode=bare\n[origin]\nrefspec=a\n",
            b"\0",
        ],
        "mountinfo" => &[
            b"36 25 0:31 / /a rw shared:1 - ext4 /dev/x rw\n",
            b"36 25 0:31 / /a rw ",
            b"\\040",
            b" ",
            b"1 1 0 / /  -   \n",
            b"\n",
        ],
        "os-release" => &[b"PRETTY_NAME=x\n", b"ID=\"\n", b"'", b"ID=\\", b"\n", b"ID='a'\"b\""],
        "fstab" => &[b"a /var/ b\n", b" ", b"/", b"a /\n", b"#\n"],
        "names" => &[b"/", b"a/", b"../", b"0", b"9", b"ostree-", b"-", b".prepared", b"\0"],
        "public-keys" => &[b"\n", b"A", b"AAAA\n", b" \r\n", b"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb84SIAbQPb1w=\n"],
        "etc-before" => &[b"aa\0", b"aa/", b"a.\0", b"\0", b"a\xff\0"],
        "records" | "boot-and-policy" => {
            &[b"[", b"[[],", b"{\"a\":", b"0,", b"\"", b"\\u0000", b"SELINUX\n", b"SELINUXTYPE=\n"]
        }
        "grub-cfg" => &[
            b"ostree/",
            b"/ostree/a ",
            b"ostree/boot.0/",
            b"ostree/initramfs-overlays/",
            b"\xff",
            b"ostree/boot.",
            b"GRUB_ENABLE_BLSCFG=\n",
        ],
        "syslinux-cfg" => &[
            b"\n",
            b"a\n",
            b"LABEL a\n",
            b"LABEL a\n\tKERNEL /ostree/\n",
            b"DEFAULT a\n",
            b"DEFAULT (ostree\n",
            b"\t\n",
            b"(ostre",
        ],
        "uboot-env" => &[b"\n", b"a\n", b"a\n\0", b"\\", b"\\\n", b"bootargs=\n", b"\xff=\r\n"],
        "stamp" => &[b"finalizing ", b"/", b" "],
        "unit-drop-ins" => &[b"[Service]\n", b"ExecStop=\n", b"\\\n", b"\0", b"[Service]\nExecStop=a\nExecStop=\n\0"],
        "version-order" => &[b"0", b"9", b"a1", b"\0"],
        "file-contexts" => &[b"/a\0/.* a:b:c\n", b"\0", b"\\", b"/"],
        "program" => &[b"#!/", b"\x7fELF", b" "],
        "cpio" => &[
            b"0",
            // A file without a name, as many as there is room for; and names that decide.
            b"070701000000000000000000000000000000000000000100000000000000000000000000000000000000000000000000000001000000000\0\0",
            b"07070100000000000081ed00000000000000000000000200000000000000000000000000000000000000000000000000000014000000000\0ostree-prepare-root\0",
        ],
        "journal" => &[b"{\"MESSAGE\":[0,0,0,0,0,0,0,0]}\n", b"{}\n", b"reason=\n", b"{\"MESSAGE\":\"error: \"}\n"],
        "stateroot" => &[b"/", b"ostree/", b"%", b"\xc3\xa4"],
        "projected-entry" => &[b"\n", b"k\n", b"options a=\"\n", b"linux /boot/ \n", b"# firstroot tries 3\n", b"initrd  \n", b"\0"],
        "unified-kernel" => &[b"MZ", b"PE\0\0", b".linux\0\0", b"\xff"],
        "boot-attempts" => &[b"good=/ostree/deploy/o/deploy/", b"=\n", b"#\n", b"a=\n", b"trial=/"],
        "rollbacks" => &[b"\\x41", b"a=b ", b"time=1\n", b"boots=a,", b"\n"],
        "esp-conf" => &[b"[esp]\n", b"x=\n", b"[x]\ny=z\n", b"\n"],
        "image-object" => &[b"/", b"\0", b".file"],
        _ => &[b"\0", b"\xff", b"a"],
    }
}

/// Other texts.
fn texts(target: &str) -> Vec<String> {
    let in_service = |lines: &str| format!("[Service]\n{}", long(lines));
    match target {
        "boot-entry" | "foreign-entry" => vec![
            numbered(|n| format!("k{n} v\n")),
            format!("options {}", long(" ")),
            format!("options {}", long("a\r")),
            numbered(|n| format!("linux /ostree/os-{n}/v\n")),
            format!("options ostree=/ostree/boot.0/os/{}/0 {}", "a".repeat(64), long("ostree/boot.0/os/")),
        ],
        "kernel-arguments" | "kernel-command-line" => {
            vec![numbered(|n| format!("rd.shell{n}=1 ")), long("x").replacen('x', "\"", 1)]
        }
        "finalize-staged-conf" => vec![
            format!("[{}]\n{}", "g".repeat(SIZE / 2), "a=\n".repeat(SIZE / 6)),
            format!("[selinux]\n{}=v\n", long("k")),
            format!("[selinux]\nrefresh-timeout={}\n", long("9")),
            format!("[selinux]\n{}", long("on-refresh-failure=a\n")),
        ],
        "key-file" | "origin" | "prepare-root-conf" | "repo-config" => vec![
            numbered(|n| format!("[g{n}]\na=b\n")),
            numbered(|n| format!("[{}]\nk{n}=v\n", if n % 2 == 0 { "sysroot" } else { "origin" })),
            format!("[sysroot]\n{}=v\n", long("k")),
            format!("[{}]\n", long("g")),
            format!("[core]\nmode={}\n", long("v")),
            format!("[sysroot]\n{}", long(" ")),
            format!("[a]\nk{}", long("[")),
            format!("[sysroot]\nbls-append-except-default={}\n", numbered(|n| format!("k{n}=v;"))),
            format!("[sysroot]\nbls-append-except-default={}\n", long("k=v;")),
            format!("[sysroot]\nbls-append-except-default={}\n", long("\\;")),
            numbered(|n| format!("{:06}.conf\0", n * 7919 % 1_000_003)),
        ],
        "mountinfo" => vec![format!("1 2 0:3 / /{} rw - x y z\n", long("\\134"))],
        "os-release" => vec![format!("PRETTY_NAME=\"{}", long("\\\"")), format!("ID={}", long("'"))],
        "names" => vec![
            format!("ostree-{}.conf", long("+1")),
            format!("ostree-{}.conf", long("1")),
            format!("ostree/boot.0/{}", long("x/")),
            format!("ostree/deploy/os/deploy/{}", long("a.")),
            format!("a\0{}", long("a/../")),
        ],
        "file-contexts" => {
            let path = format!("/{}", "a".repeat(250));
            let policy = |line: &str| format!("{path}\0{}", long(line));
            vec![
                policy("/.* a:b:c\n"),
                policy("/.*b u:r:t_t\n"),
                policy("/( u:r:t_t\n"),
                policy("/(.*|.*|.*)[^a] u:r:t_t\n"),
                policy("/(a*)*b.{9,9}[^a]* u:r:t_t\n"),
                policy("/.{99} u:r:t_t\n"),
                policy(&format!("/{}b u:r:t_t\n", ".*".repeat(2000))),
                policy(&format!("/{} u:r:t_t\n", "(a|".repeat(30))),
                policy(&format!("{path} u:r:t_t\n")),
                policy(&format!("{path} -s u:r:t_t\n")),
                numbered(|n| format!("/a/b/c\0/{n}/{n}/{n}.* u:r:t_t\n").replace("/a/b/c\0", "")).replacen(
                    '/',
                    "/1/1/1x\0/",
                    1,
                ),
                format!("{path}\0\0\0\0{}", long("/b /a\n")),
                format!("/a\0/{}x u:r:t\n", long("\\.")),
            ]
        }
        "grub-cfg" => vec![
            numbered(|n| format!("linux /ostree/os-{n}/v\n")),
            numbered(|n| format!("/ostree/boot.0/os/{}/{n} ", "a".repeat(64))),
            format!("ostree/{}", long("a")),
        ],
        "version-order" => {
            let half = |digit: &str| digit.repeat(SIZE / 2 - 1);
            vec![format!("{}\0{}", half("9"), half("9")), format!("{}\0{}0", half("0"), half("0"))]
        }
        "records" => vec![
            format!("{{\"before\":\"\",\"after\":[{}\"\"],\"booted\":\"\"}}", long("\"\",")),
            format!("{{\"before\":\"{}\",\"after\":[],\"booted\":\"\"}}", long("a ")),
            format!("[{}{{\"directory\":\"\",\"files\":[]}}]", long("{\"directory\":\"\",\"files\":[]},")),
        ],
        "journal" => vec![
            format!("{{\"MESSAGE\":[{}0]}}", long("0,")),
            format!("{{\"MESSAGE\":{{{}\"b\":0}}}}", numbered(|n| format!("\"{n}\":0,"))),
            format!("{{\"MESSAGE\":\"finalized /x in 1.0 ms: {}\"}}", long("a 1.0 ms, ")),
        ],
        "stateroot" => vec![format!("/ostree/boot.0/{}/0/0", long("%"))],
        "boot-and-policy" => vec![
            format!("[{}0]", long("0,")),
            format!("[{}0]", long("[],")),
            format!("{{{}\"static-configs\":1}}", numbered(|n| format!("\"{n}\":0,"))),
        ],
        "unit-drop-ins" => vec![
            in_service("ExecStop=a\nExecStop=\n"),
            in_service("ExecStop=a\n"),
            format!("[Service]\nExecStop={}", long("\\\n")),
            format!("{}\0{}", in_service("ExecStop=a\n"), "[Service]\nExecStop=\nExecStop=/ostree-finalize-staged\n"),
            numbered(|n| format!("[Service]\nExecStop={n}\nExecStop=\n\0")),
        ],
        _ => Vec::new(),
    }
}
