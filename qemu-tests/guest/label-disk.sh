# A kernel without SELinux has deployed /target. What it has made beside the trees gets the labels that the policy has for it, or that a
# kernel with SELinux would have given it.
contexts=/etc/selinux/default/contexts/files/file_contexts
for deployment in /target/ostree/deploy/*/deploy/*.0; do setfiles -F -r "$deployment" "$contexts" "$deployment/etc"; done
# As an installer leaves it, so that the journal does not have to make its own place, with a label of its making.
for var in /target/ostree/deploy/*/var; do mkdir -p "$var/log/journal" "$var/lib" "$var/cache" "$var/spool"; done
for var in /target/ostree/deploy/*/var; do setfiles -F -r "${var%/var}" "$contexts" "$var"; done
setfiles -F -r /target "$contexts" /target/boot
chcon system_u:object_r:root_t:s0 /target
# The policy knows no /ostree. Objects and deployments are labelled by their commit.
find /target/ostree -path '*/repo/objects/*/*' -prune -o -path '/target/ostree/deploy/*/deploy/*.0' -prune \
    -o -path '/target/ostree/deploy/*/var' -prune -o -exec chcon --no-dereference system_u:object_r:usr_t:s0 {} +
