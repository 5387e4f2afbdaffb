use anyhow::Result;
use namespace_tests::finalize::{Contestant, Story};
use qemu_tests::guest::Guest;
pub(crate) fn trace(guest: Guest) -> Result<()> {
    let mut story = Story::named("many")
        .first_tree("mkdir -p usr/etc/big; many_files usr/etc/big 20000")
        .tree("os/next", "2", "kernel 2")
        .stage("os/next");
    story.root_size = "3G".into();
    let machine = story.staged(guest)?.copy()?;
    machine.check("cd /etc/big; for i in $(ls | head -2000); do echo x >> $i; done")?;
    for _ in 0..3 {
        for c in [Contestant::Ours, Contestant::Peer] {
            let m = machine.another()?;
            let p = match c {
                Contestant::Ours => "/usr/lib/ostree/ostree-finalize-staged",
                _ => "ostree admin finalize-staged",
            };
            let o = m.run(&format!(
                "find /etc /sysroot/ostree/deploy -type f | xargs -d '\\n' cat > /dev/null; bash -c 'time {p}'"
            ))?;
            eprintln!("{c:?} {} {}", o.stdout, o.stderr);
            let f = m.another()?;
            drop(f);
        }
    }
    Ok(())
}
