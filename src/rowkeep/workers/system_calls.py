"""The system calls that a worker must not make, refused by the kernel (seccomp).

A list of what is refused, and not of what is permitted: libraries differ in what they call from one release
to the next, and a parser that dies of a harmless call is a file that cannot be loaded. Files are walled off
by Landlock (landlock.py); here go the network, other processes, and what changes the machine or the walls.

Threads are left: `clone` may make one, and nothing else. `clone3` hides its flags from a filter; it is
answered as on a kernel without it, and glibc then uses `clone`.
"""

import errno
import os
from contextlib import suppress

try:
    import pyseccomp
except (ImportError, OSError, RuntimeError):  # the machine has no libseccomp
    pyseccomp = None

_NETWORK = """
    socket socketpair bind connect listen accept accept4 sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg
    setsockopt getsockopt shutdown
"""
_PROCESSES = """
    execve execveat fork vfork kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open pidfd_send_signal
    pidfd_getfd ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp setsid setpgid
    unshare setns
"""
# Files that are open or named are changed by these past Landlock.
_FILES = """
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat setxattr lsetxattr fsetxattr setxattrat
    removexattr lremovexattr fremovexattr removexattrat utime utimes futimesat utimensat name_to_handle_at
    open_by_handle_at fanotify_init inotify_init inotify_init1 memfd_secret mknod mknodat
"""
_WALLS = """
    setrlimit setpriority sched_setscheduler sched_setparam sched_setattr ioprio_set capset seccomp
    setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups personality
"""
_MACHINE = """
    io_uring_setup io_uring_enter io_uring_register bpf perf_event_open userfaultfd add_key request_key keyctl
    mount umount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr
    init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff sethostname
    setdomainname settimeofday clock_settime stime adjtimex clock_adjtime ioperm iopl quotactl quotactl_fd
    acct syslog vhangup nfsservctl lookup_dcookie modify_ldt
    shmget shmat shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink
"""
_CLONE_THREAD = 0x10000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


def can_refuse_calls() -> bool:
    """Returns whether this machine can refuse system calls."""
    return pyseccomp is not None


def refuse_calls() -> None:
    """Refuses this process the calls above for good. Needs `no_new_privs`. Raises OSError."""
    calls = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refused = pyseccomp.ERRNO(errno.EPERM)
    for name in " ".join((_NETWORK, _PROCESSES, _FILES, _WALLS, _MACHINE)).split():
        with suppress(OSError):  # this architecture or this libseccomp does not know it
            calls.add_rule(refused, name)
    with suppress(OSError):
        calls.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    calls.add_rule(refused, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_THREAD, 0))
    calls.add_rule(refused, "tgkill", pyseccomp.Arg(0, pyseccomp.NE, os.getpid()))  # abort() kills itself
    calls.add_rule(refused, "prlimit64", pyseccomp.Arg(2, pyseccomp.NE, 0))
    for option in (_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE):
        calls.add_rule(refused, "prctl", pyseccomp.Arg(0, pyseccomp.EQ, option))
    calls.load()
