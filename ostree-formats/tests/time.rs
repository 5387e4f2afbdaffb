//! No input makes a parser slow: the time grows with the input, and not with its square.

use std::time::{Duration, Instant};

use ostree_formats::bls::BlsEntry;
use ostree_formats::bootlink::Bootlink;
use ostree_formats::cmdline::KernelCommandLine;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::entry_name::EntryName;
use ostree_formats::kargs::KernelArguments;
use ostree_formats::os_release::OsRelease;
use ostree_formats::prepare_root_conf::{self, ConfigFile, Layer};
use ostree_formats::repo_config::{self, RepoConfig};
use ostree_formats::signature::PublicKeys;
use ostree_formats::version_order::strverscmp;
use ostree_formats::{mountinfo, origin};

/// A quarter of what is read of any of these files: the build is one without optimization.
const SIZE: usize = 256 << 10;
/// Ten times what the slowest takes: the machine may be doing other things. What was quadratic took minutes.
const LIMIT: Duration = Duration::from_secs(3);

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

fn repeated(piece: &str) -> String {
    piece.repeat(SIZE / piece.len())
}

/// Runs a parser over each of these.
fn is_fast(parser: &str, inputs: &[String], run: impl Fn(&str)) {
    for input in inputs {
        let begin = Instant::now();
        run(input);
        let time = begin.elapsed();
        let start: String = input.chars().take(40).collect();
        assert!(time < LIMIT, "{parser}: {time:?} for {} bytes of {start:?}", input.len());
    }
}

fn key_files() -> Vec<String> {
    vec![
        numbered(|n| format!("[g{n}]\na=b\n")),
        repeated("[sysroot]\nreadonly=true\n"),
        repeated("[sysroot]\nreadonly=true\nreadonly=false\n"),
        numbered(|n| format!("[{}]\nk{n}=v\n", if n % 2 == 0 { "sysroot" } else { "origin" })),
        format!("[sysroot]\n{}=v\n", "k".repeat(SIZE)),
        format!("[{}]\n", "g".repeat(SIZE)),
        format!("[core]\nmode={}\n", "v".repeat(SIZE)),
        repeated("[etc]\n"),
        repeated("\n"),
        repeated("# \r\n"),
        format!("[sysroot]\n{}", repeated(" ")),
        repeated("["),
        repeated("[a]"),
        format!("[a]\nk{}", repeated("[")),
    ]
}

#[test]
fn key_files_are_read_fast() {
    is_fast("prepare-root.conf", &key_files(), |text| {
        let file = ConfigFile { path: "p".to_owned(), bytes: text.into() };
        let parsed = prepare_root_conf::parse(Some(&file), std::slice::from_ref(&file));
        let told: usize = parsed.warnings.iter().map(String::len).sum();
        let errors: usize = parsed.errors.iter().map(|error| error.to_string().len()).sum();
        assert!(told + errors < 10_000, "{told} and {errors} bytes are told");
    });
    is_fast("repo/config", &key_files(), |text| {
        let _ = (repo_config::sysroot_readonly(text.as_bytes()), repo_config::is_bare(text.as_bytes()));
        let _ = RepoConfig::parse(text.as_bytes());
    });
    is_fast("origin", &key_files(), |text| {
        let _ = (origin::followed(text.as_bytes()), origin::is_pinned(text.as_bytes()));
    });
    let drop_ins = numbered(|n| format!("{:05}.conf ", n * 7919 % 100_003));
    is_fast("drop-ins", &[drop_ins], |names| {
        let in_layer = |layer| names.split(' ').map(move |name| (layer, name.to_owned()));
        prepare_root_conf::drop_in_order(in_layer(Layer::Usr).chain(in_layer(Layer::Etc)));
    });
}

#[test]
fn fields_for_entries_are_read_and_set_fast() {
    let lists = [
        numbered(|n| format!("k{n}=v;")),
        repeated("k=v;"),
        numbered(|n| format!("k{}=v;", usize::MAX - n)),
        repeated("\\;"),
    ];
    is_fast("bls-append-except-default", &lists, |list| {
        let Ok(config) = RepoConfig::parse(format!("[sysroot]\nbls-append-except-default={list}\n").as_bytes()) else {
            return;
        };
        let mut entry = BlsEntry::parse(list.replace(';', "\n").replace('=', " ").as_bytes()).unwrap();
        let fields = config.bls_append_except_default.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        entry.set_all(&fields.collect::<Vec<_>>());
        assert!(!entry.to_text().is_empty());
    });
}

#[test]
fn entries_and_arguments_are_read_fast() {
    let entries = [
        repeated("options a\n"),
        repeated("initrd /i\n"),
        numbered(|n| format!("k{n} v\n")),
        repeated("\u{2028}"),
        format!("options {}", repeated(" ")),
        format!("options {}", repeated("a\r")),
    ];
    is_fast("entry", &entries, |text| {
        let mut entry = BlsEntry::parse(text.as_bytes()).unwrap();
        let _ = (entry.all_options(), entry.get("initrd").map(str::len), entry.values("linux").count());
        entry.set("options", "x");
        entry.to_text();
    });
    let lines = [
        repeated("ostree=/x "),
        repeated("ostree "),
        repeated("x=y "),
        repeated("\""),
        repeated("\" "),
        repeated("x=\"a b\" "),
        repeated(" "),
        repeated("-- "),
        repeated("---"),
        repeated("androidboot "),
        repeated("androidboot_slot-suffix=_a "),
        numbered(|n| format!("rd.shell{n}=1 ")),
        repeated("ostree-prepare-root.composefs "),
    ];
    is_fast("kernel arguments", &lines, |text| {
        let mut arguments = KernelArguments::parse(text);
        arguments.set("ostree", "/new");
        arguments.remove("x");
        let _ = (arguments.get("init").map(str::len), arguments.without_ostree().len(), arguments.to_string());
    });
    is_fast("kernel command line", &lines, |text| {
        let line = KernelCommandLine::new(text);
        let _ = (line.boot_target(), line.composefs(), line.wants_shell());
    });
}

#[test]
fn names_and_tables_are_read_fast() {
    let names = [
        repeated("/"),
        repeated("a/"),
        repeated("0"),
        repeated("9"),
        repeated("ostree-"),
        format!("ostree-{}.conf", repeated("+1")),
        format!("ostree-{}.conf", repeated("1")),
        format!("ostree/boot.0/{}", repeated("x/")),
        format!("ostree/deploy/os/deploy/{}", repeated("a.")),
    ];
    is_fast("names", &names, |text| {
        let _ = (text.parse::<EntryName>(), text.parse::<DeploymentPath>(), text.parse::<Bootlink>());
        let _ = (strverscmp(text, text), strverscmp(text, &format!("{text}1")), strverscmp(&format!("0{text}"), text));
    });
    let tables = [
        repeated("36 25 0:31 / /a rw shared:1 - ext4 /dev/x rw\n"),
        repeated("36 25 0:31 / /a rw "),
        repeated("\\040"),
        format!("1 2 0:3 / /{} rw - x y z\n", repeated("\\134")),
        repeated(" "),
        repeated("PRETTY_NAME=x\n"),
        repeated("ID=\"\n"),
        format!("PRETTY_NAME=\"{}", repeated("\\\"")),
        repeated("'"),
    ];
    is_fast("mountinfo and os-release", &tables, |text| {
        let _ = (mountinfo::parse(text.as_bytes()).len(), OsRelease::parse(text).title().map(str::len));
    });
    let key = "/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=\n";
    let keys = [repeated("\n"), repeated("A"), repeated("AAAA\n"), repeated(" \r\n"), repeated(key)];
    is_fast("keys", &keys, |text| {
        let _ = PublicKeys::parse(text.as_bytes());
    });
}
