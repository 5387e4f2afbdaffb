//! What other programs look for in the journal: see `docs/compatibility.md`.

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, JournalMessage};
use qemu_tests::guest::Guest;

use super::ours::staged;

/// What `rpm-ostree status` and libostree's tests find after a finalization, with either program.
pub(crate) fn structured_messages_are_libostrees(guest: Guest) -> Result<()> {
    for contestant in [Contestant::Peer, Contestant::Ours] {
        let machine = staged(guest)?;
        let finalized = machine.finalize(contestant)?;
        finalized.outcome.clone().success()?;
        let found = |id: &str, text: &str| -> Result<JournalMessage> {
            let is = |message: &&JournalMessage| message.get("MESSAGE_ID").is_some_and(|own| own == id);
            let message = finalized.journal.iter().find(is).with_context(|| format!("{contestant:?}: no {text:?}"))?;
            let message_text = message.get("MESSAGE").map(String::as_str).unwrap_or_default();
            ensure!(message_text.contains(text), "{contestant:?}: {message:?}");
            ensure!(
                message.get("SYSLOG_IDENTIFIER").is_none_or(|name| name == "ostree"),
                "{contestant:?}: {message:?}"
            );
            Ok(message.clone())
        };
        found("e8646cd63dff4625b77909a8e7a40994", "Finalizing staged deployment")?;
        let done = found("dd440e3e549083b63d0efc7dc15255f1", "Bootloader updated; bootconfig swap: yes;")?;
        ensure!(done.get("MESSAGE").is_some_and(|text| text.contains("deployment count change: 1")), "{done:?}");
        let texts: Vec<&str> =
            finalized.journal.iter().filter_map(|message| message.get("MESSAGE")).map(String::as_str).collect();
        let synced = |text: &&&str| text.starts_with("Completed syncfs() for system repo in ") && text.ends_with(" ms");
        // 2025.2 has other words, once.
        let is_older = contestant == Contestant::Peer && guest == Guest::Trixie;
        ensure!(is_older || texts.iter().filter(synced).count() == 2, "{contestant:?}: {texts:#?}");
        ensure!(!texts.concat().contains("Starting global sync"), "{contestant:?}: {texts:#?}");
        // By this field ours can be told from libostree's.
        let ours = finalized.journal.iter().filter(|message| message.contains_key("FIRSTROOT")).count();
        let wanted = if contestant == Contestant::Ours { finalized.journal.len() } else { 0 };
        ensure!(ours == wanted, "{contestant:?}: {:#?}", finalized.journal);
    }
    Ok(())
}

/// `rpm-ostree status` shows the last line of the process if it begins with `error:`.
pub(crate) fn the_reason_of_a_failure_is_a_line_of_its_own(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    // Standard error is what the service manager says it is.
    let script = "rm /sysroot/boot/loader; : >/run/journal; JOURNAL_STREAM=$(stat -c %d:%i /run/journal) \
        /usr/lib/firstroot/ostree-finalize-staged 2>/run/journal; cat /run/journal";
    let outcome = machine.run(script)?;
    let last = outcome.stdout.lines().last().unwrap_or_default();
    ensure!(last.starts_with("<3>error: /boot/loader does not exist"), "{outcome:?}");
    // Before it, what `systemctl status` shows at 80 columns.
    let short = "<3>/boot/loader is damaged\n<3>check the disk:\n<3>  ostree fsck\n<3>error: ";
    ensure!(outcome.stdout.contains(short), "{outcome:?}");
    // The next boot says the same.
    let script = ": >/run/journal; JOURNAL_STREAM=$(stat -c %d:%i /run/journal) \
        /usr/lib/firstroot/ostree-finalize-staged --boot-complete 2>/run/journal; cat /run/journal";
    let outcome = machine.run(script)?;
    let reason = "error: ostree-finalize-staged.service failed on previous boot: ostree-finalize-staged: /boot/loader does not exist";
    let told = format!("<3>/boot/loader is damaged\n<3>check the disk:\n<3>  ostree fsck\n<3>{reason}");
    ensure!(outcome.stdout.starts_with(&told), "{outcome:?}");
    Ok(())
}
