//! A small SELinux policy.

/// The contexts of a policy, in a tree. The store is where Fedora has it.
pub const SELINUX_POLICY: &str = r"
    mkdir -p usr/etc/selinux/targeted/contexts/files usr/etc/selinux/targeted/policy \
        usr/etc/selinux/targeted/active/modules/100/base
    printf 'SELINUX=enforcing\nSELINUXTYPE=targeted\n' >usr/etc/selinux/config
    echo store-root=/etc/selinux >usr/etc/selinux/semanage.conf
    printf '%s\n' \
        '/ -d system_u:object_r:root_t:s0' \
        '/.* system_u:object_r:default_t:s0' \
        '/boot(/.*)? system_u:object_r:boot_t:s0' \
        '/etc(/.*)? system_u:object_r:etc_t:s0' \
        '/etc/ostree/remotes\.d(/.*)? system_u:object_r:system_conf_t:s0' \
        '/etc/selinux(/.*)? system_u:object_r:selinux_config_t:s0' \
        '/etc/selinux/targeted/active(/.*)? system_u:object_r:semanage_store_t:s0' \
        '/etc/shadow -- system_u:object_r:shadow_t:s0' \
        '/var(/.*)? system_u:object_r:var_t:s0' \
        '/var/log(/.*)? system_u:object_r:var_log_t:s0' \
        '/var/secret(/.*)? <<none>>' \
        >usr/etc/selinux/targeted/contexts/files/file_contexts
    echo base >usr/etc/selinux/targeted/active/modules/100/base/cil
    echo 1 >usr/etc/selinux/targeted/active/commit_num
    echo old >usr/etc/selinux/targeted/policy/policy.33";
