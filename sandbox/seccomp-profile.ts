/** How an argument is compared: with a list of values, or, the lower half of it after a mask, with zero or with a list. */
export type ArgumentTest =
  | { readonly argument: number; readonly oneOf: readonly number[] }
  | { readonly argument: number; readonly mask: number; readonly is: 'zero' | 'set' }
  | { readonly argument: number; readonly mask: number; readonly oneOf: readonly number[] };

/** What becomes of some system calls. An action without `test` holds always; with one, where it fails the default action holds. */
export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: 'allow' | { readonly errno: number };
  readonly test?: ArgumentTest;
  /** The rule is there only with, or only without, this capability. */
  readonly withCapability?: string;
  readonly withoutCapability?: string;
}

/** Calls that whoever listens to the filter decides and makes. */
export type AskingRule = Required<Pick<SeccompRule, 'names' | 'test'>> & { readonly action: 'ask' };

const EPERM = 1;
const ENOSYS = 38;

/** The answer to calls that no rule names. */
export const defaultErrno = EPERM;

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/** Harmless in a container. Names that an architecture does not have are passed over. */
const allowedAlways = words(`
  accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range bind breakpoint brk cachestat
  cacheflush capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64
  clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat
  dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
  eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark
  fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork
  fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue
  futex_time64 futex_wait futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 getegid getegid32 geteuid
  geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority
  getrandom getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid getsockname
  getsockopt get_thread_area gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init
  inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy io_getevents io_pgetevents io_pgetevents_time64 ioprio_get
  ioprio_set io_setup io_submit ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown
  lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr
  lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock
  mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
  mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
  name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
  pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
  process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink
  readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename
  renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
  rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam
  sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
  sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop
  semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32
  setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32
  setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid setsockopt set_thread_area set_tid_address
  set_tls setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4
  sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync
  sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun
  timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
  timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe
  utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
`);

/** Reserved to the owner of a capability. */
const allowedByCapability: Readonly<Record<string, readonly string[]>> = {
  CAP_DAC_READ_SEARCH: ['open_by_handle_at'],
  CAP_SYS_ADMIN: words(`
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
    sethostname setns syslog umount umount2 unshare
  `),
  CAP_SYS_BOOT: ['reboot'],
  CAP_SYS_CHROOT: ['chroot'],
  CAP_SYS_MODULE: ['delete_module', 'finit_module', 'init_module'],
  CAP_SYS_PACCT: ['acct'],
  CAP_SYS_PTRACE: ['kcmp', 'pidfd_getfd', 'process_madvise'],
  CAP_SYS_RAWIO: ['ioperm', 'iopl'],
  CAP_SYS_TIME: ['clock_settime', 'clock_settime64', 'settimeofday', 'stime'],
  CAP_SYS_TTY_CONFIG: ['vhangup'],
  CAP_SYS_NICE: ['get_mempolicy', 'mbind', 'set_mempolicy', 'set_mempolicy_home_node'],
  CAP_SYSLOG: ['syslog'],
  CAP_BPF: ['bpf'],
  CAP_PERFMON: ['perf_event_open'],
};

/** Address families by number. Without AF_ALG (38) and AF_VSOCK (40), and without those that Linux has dropped. */
const socketFamilies = [
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41,
  42, 43, 44, 45,
];

/** PER_LINUX, PER_LINUX32, UNAME26, both, and the query. */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const namespaceFlags = 0x7e020000;

/** The default profile of Docker (moby/profiles, seccomp), which BuildKit uses too. */
export const dockerProfile: readonly SeccompRule[] = [
  { names: allowedAlways, action: 'allow' },
  { names: ['socket'], action: 'allow', test: { argument: 0, oneOf: socketFamilies } },
  { names: ['personality'], action: 'allow', test: { argument: 0, oneOf: personalities } },
  ...Object.entries(allowedByCapability).map(([withCapability, names]): SeccompRule => ({
    names,
    action: 'allow',
    withCapability,
  })),
  {
    names: ['clone'],
    action: 'allow',
    test: { argument: 0, mask: namespaceFlags, is: 'zero' },
    withoutCapability: 'CAP_SYS_ADMIN',
  },
  // Its flags lie in memory, out of a filter's sight: programs fall back to clone.
  { names: ['clone3'], action: { errno: ENOSYS }, withoutCapability: 'CAP_SYS_ADMIN' },
];

/** S_IFMT, S_IFCHR and S_IFBLK. */
const deviceType = { mask: 0o170000, oneOf: [0o020000, 0o060000] };

/** Rules before all others for steps in a user namespace, where the kernel makes no device nodes: the helper does (native/device-nodes.c). */
export const deviceNodeRules: readonly AskingRule[] = [
  { names: ['mknod'], action: 'ask', test: { argument: 1, ...deviceType } },
  { names: ['mknodat'], action: 'ask', test: { argument: 2, ...deviceType } },
];

const msSync = 4;

/**
 * Rules before all others for steps whose files are synced as a whole when their layer is committed. `msync` only as far as it would wait:
 * with MS_ASYNC some programs use it to ask whether an address is mapped.
 */
export const syncSuppression: readonly SeccompRule[] = [
  {
    names: ['fsync', 'fdatasync', 'sync', 'syncfs', 'sync_file_range', 'arm_sync_file_range'],
    action: { errno: 0 },
  },
  { names: ['msync'], action: { errno: 0 }, test: { argument: 2, mask: msSync, is: 'set' } },
];
