//! The system calls that a container may make: Docker's default policy for its default capabilities, as one
//! classic-BPF program for x86-64.
//!
//! The names are those of moby's default profile, without what it allows to further capabilities only. What is not on
//! the list gets `EPERM`. What is newer than the list, and `clone3` (whose flags lie in memory where no filter can see
//! them), gets `ENOSYS`, at which C libraries fall back to older calls. So does every call of another architecture.

use seccompiler::{BpfProgram, sock_filter};

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "containers are confined on x86-64 only so far: this architecture's system calls need a list of their own"
);

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offsets in the kernel's `struct seccomp_data`; of arguments the lower 32 bits.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENT_0: u32 = 16;

/// `AUDIT_ARCH_X86_64`.
const X86_64: u32 = 0xC000_003E;

/// `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`, `NEWPID`, `NEWNET`.
const NEW_NAMESPACES: u32 = 0x7E02_0000;

/// `AF_VSOCK`: it leads to the hypervisor past every network namespace.
const VSOCK: u32 = 40;

/// `PER_LINUX`, `PER_LINUX32`, each also with `UNAME26`, and the question what it is.
const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xFFFF_FFFF];

/// Numbers between the last old system call (`rseq` is 334, `uretprobe` 335) and the first one of the range that all
/// architectures share: none was ever given away.
const HOLE: (u32, u32) = (336, 423);

/// The program. It is installed with no_new_privs set.
pub(crate) fn program() -> BpfProgram {
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let number = |call: libc::c_long| u32::try_from(call).unwrap_or(u32::MAX);
    let answer = |errno: libc::c_int| {
        let errno = u32::try_from(errno).unwrap_or_default();
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno)
    };
    let allow = || step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW);
    let refuse = || answer(libc::EPERM);
    let unknown = || answer(libc::ENOSYS);

    let mut allowed: Vec<u32> = ALLOWED.iter().map(|call| number(*call)).collect();
    allowed.sort_unstable();
    let newest = allowed.last().copied().unwrap_or_default();

    let mut program = vec![
        step(LOAD, 0, 0, ARCHITECTURE),
        step(IF_EQUAL, 1, 0, X86_64),
        unknown(),
        step(LOAD, 0, 0, NUMBER),
        step(IF_EQUAL, 3, 0, number(libc::SYS_clone3)),
        step(IF_GREATER, 2, 0, newest),
        step(IF_GREATER, 2, 0, HOLE.1),
        step(IF_AT_LEAST, 0, 1, HOLE.0),
        unknown(),
    ];
    // Threads and processes, but no new namespaces.
    program.extend([
        step(IF_EQUAL, 0, 5, number(libc::SYS_clone)),
        step(LOAD, 0, 0, ARGUMENT_0),
        step(AND, 0, 0, NEW_NAMESPACES),
        step(IF_EQUAL, 0, 1, 0),
        allow(),
        refuse(),
    ]);
    program.extend([
        step(IF_EQUAL, 0, 4, number(libc::SYS_socket)),
        step(LOAD, 0, 0, ARGUMENT_0),
        step(IF_EQUAL, 1, 0, VSOCK),
        allow(),
        refuse(),
    ]);
    program.extend([step(IF_EQUAL, 0, 8, number(libc::SYS_personality)), step(LOAD, 0, 0, ARGUMENT_0)]);
    for (jump, personality) in (1_u8..=5).rev().zip(PERSONALITIES) {
        program.push(step(IF_EQUAL, jump, 0, personality));
    }
    program.extend([refuse(), allow()]);

    let mut rest = allowed.into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while let Some(next) = rest.next_if(|next| *next == last + 1) {
            last = next;
        }
        program.extend([step(IF_AT_LEAST, 0, 2, first), step(IF_GREATER, 1, 0, last), allow()]);
    }
    program.push(refuse());
    program
}

#[rustfmt::skip]
const ALLOWED: &[libc::c_long] = &[
    // Files.
    libc::SYS_read, libc::SYS_write, libc::SYS_open, libc::SYS_close, libc::SYS_stat, libc::SYS_fstat,
    libc::SYS_lstat, libc::SYS_lseek, libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_readv, libc::SYS_writev,
    libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2, libc::SYS_access, libc::SYS_creat,
    libc::SYS_link, libc::SYS_unlink, libc::SYS_symlink, libc::SYS_readlink, libc::SYS_rename, libc::SYS_mkdir,
    libc::SYS_rmdir, libc::SYS_chmod, libc::SYS_fchmod, libc::SYS_chown, libc::SYS_fchown, libc::SYS_lchown,
    libc::SYS_truncate, libc::SYS_ftruncate, libc::SYS_getdents, libc::SYS_getdents64, libc::SYS_getcwd,
    libc::SYS_chdir, libc::SYS_fchdir, libc::SYS_chroot, libc::SYS_umask, libc::SYS_utime, libc::SYS_utimes,
    libc::SYS_mknod, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync,
    libc::SYS_syncfs, libc::SYS_sync_file_range, libc::SYS_flock, libc::SYS_fcntl, libc::SYS_ioctl, libc::SYS_dup,
    libc::SYS_dup2, libc::SYS_dup3, libc::SYS_pipe, libc::SYS_pipe2, libc::SYS_sendfile, libc::SYS_splice,
    libc::SYS_tee, libc::SYS_vmsplice, libc::SYS_copy_file_range, libc::SYS_readahead, libc::SYS_fadvise64,
    libc::SYS_fallocate, libc::SYS_openat, libc::SYS_openat2, libc::SYS_mkdirat, libc::SYS_mknodat,
    libc::SYS_fchownat, libc::SYS_futimesat, libc::SYS_newfstatat, libc::SYS_unlinkat, libc::SYS_renameat,
    libc::SYS_renameat2, libc::SYS_linkat, libc::SYS_symlinkat, libc::SYS_readlinkat, libc::SYS_fchmodat,
    libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_utimensat, libc::SYS_statx, libc::SYS_close_range,
    libc::SYS_name_to_handle_at, libc::SYS_memfd_create, libc::SYS_memfd_secret, libc::SYS_setxattr,
    libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr,
    libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr, libc::SYS_removexattr, libc::SYS_lremovexattr,
    libc::SYS_fremovexattr, libc::SYS_inotify_init, libc::SYS_inotify_init1, libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch, libc::SYS_fanotify_mark, libc::SYS_io_setup, libc::SYS_io_destroy,
    libc::SYS_io_getevents, libc::SYS_io_submit, libc::SYS_io_cancel, 333, // io_pgetevents
    // Waiting.
    libc::SYS_poll, libc::SYS_ppoll, libc::SYS_select, libc::SYS_pselect6, libc::SYS_epoll_create,
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_ctl_old, libc::SYS_epoll_wait,
    libc::SYS_epoll_wait_old, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, libc::SYS_eventfd, libc::SYS_eventfd2,
    libc::SYS_signalfd, libc::SYS_signalfd4, libc::SYS_timerfd_create, libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime, libc::SYS_pause, libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_futex,
    libc::SYS_futex_waitv, libc::SYS_restart_syscall,
    // Memory.
    libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_munmap, libc::SYS_brk, libc::SYS_mremap, libc::SYS_msync,
    libc::SYS_mincore, libc::SYS_madvise, libc::SYS_mlock, libc::SYS_mlock2, libc::SYS_munlock, libc::SYS_mlockall,
    libc::SYS_munlockall, libc::SYS_remap_file_pages, libc::SYS_pkey_mprotect, libc::SYS_pkey_alloc,
    libc::SYS_pkey_free, libc::SYS_membarrier, libc::SYS_process_mrelease, libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev, libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmctl, libc::SYS_shmdt,
    // Processes and signals. `clone`, `socket` and `personality` are decided before this list.
    libc::SYS_fork, libc::SYS_vfork, libc::SYS_execve, libc::SYS_execveat, libc::SYS_exit, libc::SYS_exit_group,
    libc::SYS_wait4, libc::SYS_waitid, libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_getpid,
    libc::SYS_getppid, libc::SYS_gettid, libc::SYS_set_tid_address, libc::SYS_getpgid, libc::SYS_getpgrp,
    libc::SYS_setpgid, libc::SYS_getsid, libc::SYS_setsid, libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo, libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack, libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_rseq,
    libc::SYS_arch_prctl, libc::SYS_prctl, libc::SYS_modify_ldt, libc::SYS_set_thread_area,
    libc::SYS_get_thread_area, libc::SYS_ptrace, libc::SYS_seccomp, libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self,
    // Users and limits.
    libc::SYS_getuid, libc::SYS_getgid, libc::SYS_geteuid, libc::SYS_getegid, libc::SYS_setuid, libc::SYS_setgid,
    libc::SYS_setreuid, libc::SYS_setregid, libc::SYS_getgroups, libc::SYS_setgroups, libc::SYS_setresuid,
    libc::SYS_getresuid, libc::SYS_setresgid, libc::SYS_getresgid, libc::SYS_setfsuid, libc::SYS_setfsgid,
    libc::SYS_capget, libc::SYS_capset, libc::SYS_getrlimit, libc::SYS_setrlimit, libc::SYS_prlimit64,
    libc::SYS_getrusage, libc::SYS_getpriority, libc::SYS_setpriority, libc::SYS_ioprio_get, libc::SYS_ioprio_set,
    libc::SYS_sched_yield, libc::SYS_sched_setparam, libc::SYS_sched_getparam, libc::SYS_sched_setscheduler,
    libc::SYS_sched_getscheduler, libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min,
    libc::SYS_sched_rr_get_interval, libc::SYS_sched_setaffinity, libc::SYS_sched_getaffinity,
    libc::SYS_sched_setattr, libc::SYS_sched_getattr, libc::SYS_getcpu,
    // Time and the machine.
    libc::SYS_time, libc::SYS_times, libc::SYS_gettimeofday, libc::SYS_clock_gettime, libc::SYS_clock_getres,
    libc::SYS_adjtimex, libc::SYS_clock_adjtime, libc::SYS_alarm, libc::SYS_getitimer, libc::SYS_setitimer,
    libc::SYS_timer_create, libc::SYS_timer_settime, libc::SYS_timer_gettime, libc::SYS_timer_getoverrun,
    libc::SYS_timer_delete, libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrandom,
    // Sockets and queues.
    libc::SYS_connect, libc::SYS_accept, libc::SYS_accept4, libc::SYS_bind, libc::SYS_listen, libc::SYS_shutdown,
    libc::SYS_socketpair, libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_setsockopt, libc::SYS_getsockopt,
    libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_sendmmsg,
    libc::SYS_recvmmsg, libc::SYS_semget, libc::SYS_semop, libc::SYS_semctl, libc::SYS_semtimedop, libc::SYS_msgget,
    libc::SYS_msgsnd, libc::SYS_msgrcv, libc::SYS_msgctl, libc::SYS_mq_open, libc::SYS_mq_unlink,
    libc::SYS_mq_timedsend, libc::SYS_mq_timedreceive, libc::SYS_mq_notify, libc::SYS_mq_getsetattr,
    // cachestat, fchmodat2, map_shadow_stack, futex_wake, futex_wait, futex_requeue; mseal, setxattrat, getxattrat,
    // listxattrat, removexattrat: newer than crate libc.
    451, 452, 453, 454, 455, 456, 462, 463, 464, 465, 466,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program answers, computed as the kernel does.
    fn run(arch: u32, number: u32, argument: u32) -> u32 {
        let program = program();
        let (mut at, mut value) = (0, 0);
        loop {
            let step = &program[at];
            let jump = |yes: bool| usize::from(if yes { step.jt } else { step.jf });
            at += 1;
            match step.code {
                LOAD => {
                    value = match step.k {
                        NUMBER => number,
                        ARCHITECTURE => arch,
                        ARGUMENT_0 => argument,
                        other => panic!("offset {other}"),
                    }
                }
                AND => value &= step.k,
                IF_EQUAL => at += jump(value == step.k),
                IF_GREATER => at += jump(value > step.k),
                IF_AT_LEAST => at += jump(value >= step.k),
                RETURN => return step.k,
                other => panic!("code {other}"),
            }
        }
    }

    #[track_caller]
    fn check(call: libc::c_long, argument: u32, want: u32) {
        assert_eq!(run(X86_64, u32::try_from(call).unwrap(), argument), want, "{call} {argument}");
    }

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

    #[test]
    fn every_call_on_the_list_passes_and_dangerous_ones_do_not() {
        for call in ALLOWED {
            check(*call, 0, ALLOW);
        }
        for call in [
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_keyctl,
            libc::SYS_init_module,
            libc::SYS_kexec_load,
            libc::SYS_reboot,
            libc::SYS_pivot_root,
            libc::SYS_open_by_handle_at,
            libc::SYS_userfaultfd,
            libc::SYS_perf_event_open,
            libc::SYS_io_uring_setup,
            libc::SYS_settimeofday,
            libc::SYS_swapon,
        ] {
            check(call, 0, EPERM);
        }
    }

    #[test]
    fn new_namespaces_vsock_and_odd_personalities_are_refused() {
        check(libc::SYS_clone, 0x003D_0F00, ALLOW);
        check(libc::SYS_clone, 0x1000_0000, EPERM);
        check(libc::SYS_socket, 2, ALLOW);
        check(libc::SYS_socket, VSOCK, EPERM);
        for personality in PERSONALITIES {
            check(libc::SYS_personality, personality, ALLOW);
        }
        check(libc::SYS_personality, 0x0004_0000, EPERM);
    }

    #[test]
    fn what_libraries_must_think_missing_is_missing() {
        check(libc::SYS_clone3, 0, ENOSYS);
        for number in [400, 467, 1000, 0x4000_0000, u32::MAX] {
            assert_eq!(run(X86_64, number, 0), ENOSYS, "{number}");
        }
        let i386 = 0x4000_0003;
        assert_eq!(run(i386, 1, 0), ENOSYS);
    }
}
