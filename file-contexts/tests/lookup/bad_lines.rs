//! Texts that are no policy.

use file_contexts::{FileContexts, Texts};

fn error(contexts: &[u8]) -> String {
    FileContexts::parse(Texts { contexts, ..Texts::default() }).err().unwrap().to_string()
}

#[test]
fn an_error_names_file_line_and_what_was_found() {
    for (line, wanted) in [
        ("/a", "file_contexts:3: no label behind \"/a\""),
        ("/a -x u:r:t", "file_contexts:3: \"-x\" is not one of -- -d -l -c -b -p -s"),
        ("/a --", "file_contexts:3: \"--\" is not a label"),
        ("/a -d u:r", "file_contexts:3: \"u:r\" is not a label"),
        ("/a u::t", "file_contexts:3: \"u::t\" is not a label"),
        ("/a u:r:", "file_contexts:3: \"u:r:\" is not a label"),
        ("/a u:r:t:", "file_contexts:3: \"u:r:t:\" is not a label"),
        ("/\u{e9} u:r:t", "file_contexts:3: byte 0xc3, which is not ASCII text"),
        ("/\0 u:r:t", "file_contexts:3: byte 0x00, which is not ASCII text"),
        ("/a u:r:\u{1b}[2J", "file_contexts:3: \"u:r:\\u{1b}[2J\" is not a label"),
    ] {
        assert_eq!(error(format!("# comment\n/x u:r:t\n{line}\n").as_bytes()), wanted);
    }
    let texts = Texts { contexts: b"/x u:r:t\n", homedirs: Some(b"\n\n/y\n"), ..Texts::default() };
    assert_eq!(
        FileContexts::parse(texts).err().unwrap().to_string(),
        "file_contexts.homedirs:3: no label behind \"/y\""
    );
    let texts = Texts { contexts: b"/x u:r:t\n", local: Some(b"/y"), ..Texts::default() };
    assert_eq!(FileContexts::parse(texts).err().unwrap().to_string(), "file_contexts.local:1: no label behind \"/y\"");
}

#[test]
fn messages_are_short() {
    let long = "a".repeat(60_000);
    assert!(error(long.as_bytes()).len() < 200);
    assert!(error(format!("/a u:r:{long}").as_bytes()).len() < 200);
    assert_eq!(error("a".repeat(70_000).as_bytes()), "file_contexts:1: a field of 70000 bytes");
}

#[test]
fn what_libselinux_reads_is_read() {
    for text in [
        &b""[..],
        b"\n\n  \n\t# comment\n#\xff\n",
        b"/a u:r:t",
        b"  /a\t\t--  u:r:t:s0:c0.c1023  more \xff\n",
        b"/a\x0bu:r:t\x0c\n",
        b"/a u:r:t\r\n\r\n",
        b"/a <<none>>\n/b -- <<none>>",
    ] {
        let texts = Texts { contexts: text, ..Texts::default() };
        assert!(FileContexts::parse(texts).is_ok(), "{:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn no_bytes_panic() {
    let text = b"/usr/(.*/)?lib(64)?(/.*)?\t-d\tu:r:t:s0\n/etc/x\\.y u:r:t\n/[a-z]{1,2} <<none>>\n";
    for end in 0..=text.len() {
        for at in 0..end {
            let mut text = text[..end].to_vec();
            for byte in [b'\\', b'[', b'(', b'{', b'|', b'\n', 0xff] {
                text[at] = byte;
                let texts = Texts { contexts: &text, subs: Some(&text), ..Texts::default() };
                if let Ok(contexts) = FileContexts::parse(texts) {
                    for path in ["/usr/lib", "/etc/x.y", "/ab"] {
                        let _ = contexts.label(path.as_bytes(), None);
                    }
                    let _ = contexts.broken();
                }
            }
        }
    }
}
