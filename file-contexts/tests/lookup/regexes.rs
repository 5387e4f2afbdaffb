//! Regexes mean what they mean to PCRE.

use crate::policies::{letter, matches, policy};

#[test]
fn a_regex_is_for_the_whole_path() {
    assert!(matches("/a(/.*)?", b"/a"));
    assert!(matches("/a(/.*)?", b"/a/b"));
    assert!(!matches("/a(/.*)?", b"/ab"));
    assert!(!matches("/a[b]", b"/x/ab"));
}

#[test]
fn a_final_line_feed_may_follow() {
    assert!(matches("/etc/quota\\.(user|group)", b"/etc/quota.user\n"));
    assert!(!matches("/etc/quota\\.(user|group)", b"/etc/quota.user\n\n"));
    assert!(matches("/etc/[^/]*", b"/etc/a\nb"));
    assert!(matches("/etc/.", b"/etc/\n"));
    // A literal is compared as it is.
    assert!(!matches("/etc/quota", b"/etc/quota\n"));
}

#[test]
fn a_brace_that_begins_no_count_is_a_character() {
    assert!(matches("/run/user/%{USERID}/.*", b"/run/user/%{USERID}/x"));
    assert!(!matches("/run/user/%{USERID}/.*", b"/run/user/0/x"));
    assert!(matches("/a{,2}.*", b"/a{,2}x"));
    assert!(matches("/a{2x}.*", b"/a{2x}"));
    assert!(matches("/a{.*", b"/a{"));
    assert!(matches("/a{2}b", b"/aab"));
    assert!(matches("/a{2,}b", b"/aaaab"));
    assert!(!matches("/a{2,3}b", b"/aaaab"));
    assert!(matches("/a{0,1}b", b"/b"));
}

#[test]
fn classes() {
    for (regex, is_in, is_out) in [
        ("/[abc]", "abc", "d-"),
        ("/[^abc]", "d-]", "abc"),
        ("/[a-c-]", "abc-", "d"),
        ("/[]a]", "]a", "b"),
        ("/[^]a]", "b", "]a"),
        ("/[a\\]b]", "a]b", "\\"),
        ("/[[:digit:]x]", "09x", "a:"),
        ("/[[:^digit:]]", "a", "0"),
        ("/[\\w.]", "aZ_9.", "-"),
        ("/[\\d-x]", "1-x", "w"),
        ("/[a-\\d]", "1-a", "b"),
        ("/[-&&~~a]", "&~-a", "b"),
        ("/[a[b]", "a[b", "]"),
        ("/[<\\>{}|(.*]", "<>{}|(.*", "a"),
    ] {
        for (characters, wanted) in [(is_in, true), (is_out, false)] {
            for character in characters.chars() {
                assert_eq!(matches(regex, format!("/{character}").as_bytes()), wanted, "{regex} {character}");
            }
        }
    }
}

#[test]
fn escapes() {
    assert!(matches("/\\<.*\\>", b"/<word>"));
    assert!(matches("/\\d+\\.x", b"/12.x"));
    assert!(!matches("/\\d+\\.x", b"/1y.x"));
    assert!(matches("/\\x41\\-b.*", b"/A-b"));
    assert!(matches("/a\\+\\+[b]", b"/a++b"));
    assert!(matches("/\\#~&%!@=:;,'\"`<>_-.*", b"/#~&%!@=:;,'\"`<>_-x"));
    // No word boundaries, no Unicode.
    assert!(!matches("/\\w", "/é".as_bytes()));
}

#[test]
fn whole_regexes_may_be_alternatives() {
    // Without a group each has only one of the two anchors.
    let contexts = policy("/a/b|/a/c A");
    for (path, wanted) in [("/a/b", "a"), ("/a/bx", "a"), ("/a/c", "a"), ("/a/x/a/c", "a"), ("/a/x", "-"), ("/b", "-")]
    {
        assert_eq!(letter(&contexts, path, None), wanted, "{path}");
    }
    assert!(matches("/a/[)|]x", b"/a/|x"));
    assert!(matches("/a/(b|c)d", b"/a/cd"));
    assert!(!matches("/a/(b|c)d", b"/a/xd"));
    assert!(matches("/a/[(]b|/a/.*z", b"/a/z"));
}

#[test]
fn quantifiers() {
    assert!(matches("/a.*?b", b"/axxb"));
    assert!(matches("/ab+", b"/abb"));
    assert!(matches("/ab?c", b"/ac"));
    assert!(matches("/(ab)*c", b"/ababc"));
    assert!(matches("/a(?:b|c)+d.*", b"/abcd"));
    assert!(matches("/lib(64)?/x", b"/lib/x"));
    assert!(matches("/a\\.?b", b"/ab"));
    assert!(matches("/ab{0}c", b"/ac"));
}

#[test]
fn what_must_be_in_a_path_is_looked_for_in_order() {
    assert!(matches("/usr/(.*/)?lib(64)?/nvidia/.+\\.so(\\..*)?", b"/usr/lib/nvidia/x.so.1"));
    assert!(matches("/usr/(.*/)?lib(64)?/nvidia/.+\\.so(\\..*)?", b"/usr/a/lib64/nvidia/.so.so"));
    assert!(!matches("/usr/(.*/)?lib(64)?/nvidia/.+\\.so(\\..*)?", b"/usr/nvidia/lib/x.so"));
    assert!(matches("/.*aa.*ab", b"/aab_aab"));
    assert!(matches("/a+b", b"/aaab"));
}

#[test]
fn what_does_not_compile_is_skipped_and_named() {
    for (regex, reason) in [
        ("/a(b", "group"),
        ("/a)b", "closing"),
        ("/[a", "class without an end"),
        ("/[z-a]", "ends before it begins"),
        ("/[[:no:]]", "named class"),
        ("/a(?=b)", "(?"),
        ("/a(?i)b", "(?"),
        ("/(a)\\1", "\\1"),
        ("/\\Qa\\E", "\\Q"),
        ("/a++", "possessive"),
        ("/a*+", "possessive"),
        ("/a**", "nothing to repeat"),
        ("/(*ACCEPT)", "(*"),
        ("/(|*)", "nothing to repeat"),
        ("/a{3,2}", "min"),
        ("/.{1000}", "size"),
        ("/.{99999999999}", "number"),
        ("/a\\", "backslash at the end"),
        (&format!("/{}", "(".repeat(60)), "nesting"),
        (&format!("/a*{}", "b*".repeat(600)), "longer than 256"),
    ] {
        let contexts = policy(&format!("/.* A\n{regex} B\n/[z] C"));
        assert_eq!(contexts.broken(), [""; 0], "not reached yet: {regex}");
        for _ in 0..2 {
            let _ = letter(&contexts, "/abc", None);
            let _ = letter(&contexts, "/a", None);
        }
        let [broken] = &contexts.broken()[..] else { panic!("{regex}: {:?}", contexts.broken()) };
        assert!(broken.starts_with("file_contexts:2: ") && broken.contains(reason), "{regex}: {broken}");
        assert_eq!(letter(&contexts, "/abc", None), "a", "{regex}");
        assert_eq!(letter(&contexts, "/z", None), "c", "{regex}");
    }
}

#[test]
fn what_no_lookup_reaches_is_not_named() {
    let contexts = policy("/usr/(a B\n/etc/.* A");
    assert_eq!(letter(&contexts, "/etc/x", None), "a");
    assert_eq!(contexts.broken(), [""; 0]);
    assert_eq!(letter(&contexts, "/usr/x", None), "-");
    assert_eq!(contexts.broken().len(), 1);
}
