//! Loop devices (loop(4)): a file as a read-only block device that is removed after its last use.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, ioctl};

/// A device that is attached while this exists, or something is mounted from it.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    /// Its path.
    pub(crate) path: String,
    _open: OwnedFd,
}

/// Numbers of `<linux/loop.h>`.
const LOOP_CTL_GET_FREE: Opcode = 0x4c82;
const LOOP_CONFIGURE: Opcode = 0x4c0a;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// `struct loop_info64`.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    sizelimit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// How often another process may take the free device before this one.
const TRIES: usize = 64;

impl LoopDevice {
    /// Attaches `file`.
    ///
    /// # Errors
    /// `ENOENT` or `ENXIO` where there are no loop devices; as the ioctls otherwise.
    pub(crate) fn read_only(file: impl AsFd) -> Result<LoopDevice, Errno> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let control = rustix::fs::openat(CWD, "/dev/loop-control", flags, Mode::empty())?;
        let fd = u32::try_from(file.as_fd().as_raw_fd()).map_err(|_| Errno::BADF)?;
        for _ in 0..TRIES {
            // SAFETY: this ioctl takes no argument, and returns a number.
            let number = unsafe { ioctl(&control, GetFree)? };
            let path = format!("/dev/loop{number}");
            let device = rustix::fs::openat(CWD, path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            let info = Info {
                device: 0,
                inode: 0,
                rdevice: 0,
                offset: 0,
                sizelimit: 0,
                number: 0,
                encrypt_type: 0,
                encrypt_key_size: 0,
                flags: LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
                file_name: [0; 64],
                crypt_name: [0; 64],
                encrypt_key: [0; 32],
                init: [0; 2],
            };
            let config = Config { fd, block_size: 0, info, reserved: [0; 8] };
            // SAFETY: the opcode takes a pointer to this struct, which has the layout of the kernel's; the kernel only reads it.
            match unsafe { ioctl(&device, Setter::<LOOP_CONFIGURE, Config>::new(config)) } {
                Ok(()) => return Ok(LoopDevice { path, _open: device }),
                // Another process has taken it.
                Err(Errno::BUSY) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::BUSY)
    }
}

/// Asks for the number of a free device.
struct GetFree;

// SAFETY: the kernel takes no pointer, and the number is its result.
unsafe impl rustix::ioctl::Ioctl for GetFree {
    type Output = i32;
    const IS_MUTATING: bool = false;
    fn opcode(&self) -> Opcode {
        LOOP_CTL_GET_FREE
    }
    fn as_ptr(&mut self) -> *mut rustix::ffi::c_void {
        std::ptr::null_mut()
    }
    unsafe fn output_from_ptr(
        output: rustix::ioctl::IoctlOutput,
        _: *mut rustix::ffi::c_void,
    ) -> rustix::io::Result<i32> {
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structs_have_the_kernels_size() {
        assert_eq!((size_of::<Info>(), size_of::<Config>()), (232, 304));
    }
}
