//! The shim between SQLite and its own VFS.
//!
//! # Safety
//! SQLite speaks C, so this module is unsafe from end to end; everything that decides is safe code in [`Disk`]. What it
//! relies on is what <https://sqlite.org/c3ref/vfs.html> and <https://sqlite.org/c3ref/io_methods.html> promise:
//! * `xOpen` is given `szOsFile` writable bytes, aligned for pointers, which no one else touches until `xClose` or a failed
//!   open. [`File`] lies at their beginning and the real VFS's file directly behind it; both sizes are in `szOsFile`.
//! * The methods of a file are called with the pointer that `xOpen` was given, only between a successful open and its
//!   close, which is the last call. So [`File::open`] points to a live [`Open`] in all of them.
//! * A path is a NUL-terminated string that outlives the file.
//!
//! No panic crosses into C: the functions below call nothing that panics on what SQLite gives them, and an `extern "C"`
//! function that panicked all the same would end the process rather than unwind.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use crate::disk::Disk;
use crate::fault::Code;
use crate::platter::Change;

/// An open file, as SQLite holds it. The real file follows it in memory.
#[repr(C)]
struct File {
    base: sqlite3_file,
    open: *mut Open,
}

/// What the shim knows of an open file.
struct Open {
    disk: Arc<Disk>,
    inode: usize,
    name: String,
    /// Set for a new journal or WAL until its first sync, which syncs the folder as well, as SQLite's own VFS does.
    new: AtomicBool,
}

/// Files that SQLite makes durable with their folder.
const LOGS: c_int =
    ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;

/// Version 2: with shared memory for WAL, without memory mapping, which the core does not use and which would pass by.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Makes the shim this process's default VFS, once.
pub(crate) fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the default VFS is static; its copy and nothing else is changed, and it is never freed. Methods that are
        // not replaced take the VFS for nothing but its path length (SQLite's "unix" VFS is the default everywhere these
        // tests run), which the copy has as well.
        unsafe {
            let real = ffi::sqlite3_vfs_find(ptr::null());
            assert!(!real.is_null(), "SQLite has no default VFS");
            let mut shim = *real;
            shim.szOsFile += c_int::try_from(size_of::<File>()).unwrap_or(c_int::MAX);
            shim.pNext = ptr::null_mut();
            shim.zName = c"fault".as_ptr();
            shim.pAppData = real.cast();
            shim.xOpen = Some(open);
            shim.xDelete = Some(delete);
            shim.xAccess = Some(access);
            let registered = ffi::sqlite3_vfs_register(Box::leak(Box::new(shim)), 1);
            assert_eq!(registered, ffi::SQLITE_OK, "SQLite does not take the VFS");
        }
    });
}

/// SQLite's own VFS.
///
/// # Safety
/// `vfs` is the one that [`register`] made.
unsafe fn real_vfs(vfs: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
    unsafe { (*vfs).pAppData.cast() }
}

/// The real file behind a file of the shim.
///
/// # Safety
/// `file` is memory of `szOsFile` bytes, as SQLite gave it to [`open`].
unsafe fn real_file(file: *mut sqlite3_file) -> *mut sqlite3_file {
    unsafe { file.cast::<File>().add(1).cast() }
}

/// What the shim knows of an open file.
///
/// # Safety
/// `file` was opened by [`open`] and is not closed.
unsafe fn opened<'a>(file: *mut sqlite3_file) -> &'a Open {
    unsafe { &*(*file.cast::<File>()).open }
}

/// Calls a method of the real file with these arguments.
macro_rules! really {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: of every caller: `$file` is open (see the module), and the real VFS has all methods of version 2.
        let real = unsafe { real_file($file) };
        match unsafe { (*(*real).pMethods).$method } {
            Some(method) => unsafe { method(real $(, $argument)*) },
            None => ffi::SQLITE_IOERR,
        }
    }};
}

/// A path as SQLite gives it.
///
/// # Safety
/// Null, or NUL-terminated.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    let name = unsafe { CStr::from_ptr(name) };
    name.to_str().ok().map(Path::new)
}

fn refused(code: Code, io: c_int) -> c_int {
    match code {
        Code::Io => io,
        Code::Full => ffi::SQLITE_FULL,
    }
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let vfs = unsafe { real_vfs(vfs) };
    let Some(really) = (unsafe { (*vfs).xOpen }) else {
        return ffi::SQLITE_CANTOPEN;
    };
    let Some((disk, short)) = (unsafe { path(name) }).and_then(Disk::of) else {
        // Not in care: the real VFS gets the memory and the file, and the shim never hears of it again.
        return unsafe { really(vfs, name, file, flags, flags_out) };
    };
    // SQLite calls `xClose` after a failed open where methods are set.
    unsafe { (*file).pMethods = ptr::null() };
    let real = unsafe { real_file(file) };
    let created = disk.open(&short, || unsafe {
        really(vfs, name, real, flags, flags_out)
    });
    let inode = match created {
        Ok(Ok(inode)) => inode,
        Ok(Err(error)) => return error,
        Err(code) => return refused(code, ffi::SQLITE_CANTOPEN),
    };
    let new = AtomicBool::new(flags & LOGS != 0 && flags & ffi::SQLITE_OPEN_CREATE != 0);
    let open = Open {
        disk,
        inode,
        name: short,
        new,
    };
    unsafe {
        file.cast::<File>().write(File {
            base: sqlite3_file { pMethods: &METHODS },
            open: Box::into_raw(Box::new(open)),
        });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    let vfs = unsafe { real_vfs(vfs) };
    let Some(really) = (unsafe { (*vfs).xDelete }) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    let Some((disk, short)) = (unsafe { path(name) }).and_then(Disk::of) else {
        return unsafe { really(vfs, name, sync_folder) };
    };
    let deleted = disk.delete(&short, sync_folder != 0, || unsafe { really(vfs, name, 0) });
    deleted.unwrap_or_else(|code| refused(code, ffi::SQLITE_IOERR_DELETE))
}

unsafe extern "C" fn access(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let vfs = unsafe { real_vfs(vfs) };
    let held = unsafe { path(name) }.and_then(Disk::of);
    if held.is_some_and(|(disk, _)| disk.is_dead()) {
        return ffi::SQLITE_IOERR_ACCESS;
    }
    match unsafe { (*vfs).xAccess } {
        Some(really) => unsafe { really(vfs, name, flags, out) },
        None => ffi::SQLITE_IOERR_ACCESS,
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let closed = really!(file, xClose);
    // The last call for this file: what `open` leaked is taken back.
    drop(unsafe { Box::from_raw((*file.cast::<File>()).open) });
    unsafe { (*file).pMethods = ptr::null() };
    closed
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    buffer: *mut c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    if unsafe { opened(file) }.disk.is_dead() {
        return ffi::SQLITE_IOERR_READ;
    }
    really!(file, xRead, buffer, amount, offset)
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    let open = unsafe { opened(file) };
    let (Ok(length), Ok(at)) = (usize::try_from(amount), usize::try_from(offset)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: SQLite gives `amount` readable bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) }.to_vec();
    let done = open.disk.change(
        (open.inode, &open.name),
        Change::Write { at, bytes },
        || really!(file, xWrite, buffer, amount, offset),
    );
    done.unwrap_or_else(|code| refused(code, ffi::SQLITE_IOERR_WRITE))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    let open = unsafe { opened(file) };
    let Ok(to) = usize::try_from(size) else {
        return ffi::SQLITE_IOERR_TRUNCATE;
    };
    let done = open
        .disk
        .change((open.inode, &open.name), Change::Truncate { to }, || {
            really!(file, xTruncate, size)
        });
    done.unwrap_or_else(|code| refused(code, ffi::SQLITE_IOERR_TRUNCATE))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    let open = unsafe { opened(file) };
    let new = open.new.load(Ordering::SeqCst);
    match open.disk.sync((open.inode, &open.name), new) {
        Ok(()) => {
            open.new.store(false, Ordering::SeqCst);
            ffi::SQLITE_OK
        }
        Err(code) => refused(code, ffi::SQLITE_IOERR_FSYNC),
    }
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    if unsafe { opened(file) }.disk.is_dead() {
        return ffi::SQLITE_IOERR_FSTAT;
    }
    really!(file, xFileSize, out)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    really!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    really!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    really!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(
    file: *mut sqlite3_file,
    what: c_int,
    argument: *mut c_void,
) -> c_int {
    really!(file, xFileControl, what, argument)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    really!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    really!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    if unsafe { opened(file) }.disk.is_dead() {
        return ffi::SQLITE_IOERR_SHMMAP;
    }
    really!(file, xShmMap, page, size, extend, out)
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    offset: c_int,
    amount: c_int,
    flags: c_int,
) -> c_int {
    really!(file, xShmLock, offset, amount, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: as in `really!`.
    let real = unsafe { real_file(file) };
    if let Some(method) = unsafe { (*(*real).pMethods).xShmBarrier } {
        unsafe { method(real) };
    }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    really!(file, xShmUnmap, delete)
}
