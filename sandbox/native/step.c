/* The step: from a fresh pid 1 to the program of the image. */
#include "sandbox.h"
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/vfs.h>

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* join DIRECTORY: a cgroup; before the cgroup namespace is made, which shows it as the root. The guard keeps the descriptor. */
static void join_cgroup(const struct command *c) {
  char path[4200];
  snprintf(path, sizeof path, "%s/cgroup.procs", arg(c, 1));
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "0", 1) != 1) fail(path, "", errno);
  if (report->cgroup_count == MAX_HIERARCHIES) fail(path, "too many hierarchies", ENOSPC);
  report->cgroups[report->cgroup_count++] = fd;
}

static void unshare_cgroup(const struct command *c) {
  if (unshare(CLONE_NEWCGROUP) < 0) fail(arg(c, 0), "", errno);
}

static void set_hostname(const struct command *c) {
  if (sethostname(arg(c, 1), strlen(arg(c, 1))) < 0) fail(arg(c, 1), "", errno);
}

/* cwd PATH: inside the root and through no magic link (CVE-2024-21626). */
static void change_directory(const struct command *c) {
  const char *path = arg(c, 1);
  char now[4096];
  struct statfs fs;
  int fd = open_in(root_fd, path, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  if (fd < 0 || fchdir(fd) < 0) fail(path, "", errno);
  if (fstatfs(fd, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC) fail(path, "lies in /proc", EPERM);
  close(fd);
  if (syscall(SYS_getcwd, now, sizeof now) < 0 || now[0] != '/') fail(path, "lies outside the root", EPERM);
}

/* limit RESOURCE SOFT HARD: no more than we were given ourselves (raising needs CAP_SYS_RESOURCE, which root in a container lacks). */
static void set_limit(const struct command *c) {
  int resource = (int)number_arg(c, 1, 10);
  struct rlimit wanted = {.rlim_cur = number_arg(c, 2, 10), .rlim_max = number_arg(c, 3, 10)}, now;
  if (setrlimit((unsigned)resource, &wanted) == 0) return;
  if (errno != EPERM || getrlimit((unsigned)resource, &now) < 0) fail(arg(c, 1), "", errno);
  char line[100];
  snprintf(line, sizeof line, "limit %d is kept at %llu", resource, (unsigned long long)now.rlim_max);
  note(line);
  if (wanted.rlim_max > now.rlim_max) wanted.rlim_max = now.rlim_max;
  if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
  if (setrlimit((unsigned)resource, &wanted) < 0) fail(arg(c, 1), "", errno);
}

/* soft-limit RESOURCE SOFT: the program may raise it again, up to what we were given ourselves. */
static void set_soft_limit(const struct command *c) {
  int resource = (int)number_arg(c, 1, 10);
  struct rlimit now;
  if (getrlimit((unsigned)resource, &now) < 0) fail(arg(c, 1), "", errno);
  rlim_t wanted = number_arg(c, 2, 10);
  now.rlim_cur = wanted < now.rlim_max ? wanted : now.rlim_max;
  if (setrlimit((unsigned)resource, &now) < 0) fail(arg(c, 1), "", errno);
}

static void set_umask(const struct command *c) { umask((mode_t)number_arg(c, 1, 8)); }

void set_capabilities(uint64_t permitted, uint64_t effective) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{.permitted = (uint32_t)permitted, .effective = (uint32_t)effective},
                                           {.permitted = (uint32_t)(permitted >> 32), .effective = (uint32_t)(effective >> 32)}};
  if (syscall(SYS_capset, &header, data) < 0) fail("capset", "", errno);
}

uint64_t permitted_capabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) < 0) fail("capget", "", errno);
  return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

/* bounding HEX: what no program of the step can ever have. */
static void limit_bounding(const struct command *c) {
  uint64_t keep = number_arg(c, 1, 16);
  for (int bit = 0; bit < 64 && prctl(PR_CAPBSET_READ, bit, 0, 0, 0) >= 0; bit++)
    if (!(keep >> bit & 1) && prctl(PR_CAPBSET_DROP, bit, 0, 0, 0) < 0) fail("bounding set", "", errno);
}

/* user UID GID GROUP...: the capabilities stay until `capabilities`, since seccomp needs one of them. */
static void become_user(const struct command *c) {
  gid_t groups[1024];
  size_t count = c->argc - 3;
  uid_t uid = (uid_t)number_arg(c, 1, 10);
  gid_t gid = (gid_t)number_arg(c, 2, 10);
  if (count > sizeof groups / sizeof *groups) fail("groups", "too many", E2BIG);
  for (size_t i = 0; i < count; i++) groups[i] = (gid_t)number_arg(c, (uint32_t)i + 3, 10);
  uint64_t before = permitted_capabilities();
  if (syscall(SYS_setgroups, count, groups) < 0) {
    if (errno != EPERM) fail("groups", "", errno);
    note("supplementary groups are not set: this user namespace maps one group only");
  }
  if (syscall(SYS_setresgid, gid, gid, gid) < 0) fail(arg(c, 2), "group", errno);
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) fail("keepcaps", "", errno);
  if (syscall(SYS_setresuid, uid, uid, uid) < 0) fail(arg(c, 1), "user", errno);
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0) fail("keepcaps", "", errno);
  set_capabilities(before, before);
}

/* capabilities HEX: permitted and effective, as far as we have them; inheritable and ambient none (CVE-2022-27651). */
static void drop_capabilities(const struct command *c) {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  uint64_t allowed = number_arg(c, 1, 16) & permitted_capabilities();
  set_capabilities(allowed, allowed);
}

/* seccomp FILTER [asking]: an array of struct sock_filter, which may ask the guard. Not by no_new_privs: sudo must work. */
static void install_filter(const struct command *c) {
  const struct bytes *code = &c->argv[1];
  struct sock_filter *filter = malloc(code->size);
  if (!filter) fail("memory", "", ENOMEM);
  memcpy(filter, code->data, code->size);
  struct sock_fprog program = {.len = (unsigned short)(code->size / sizeof *filter), .filter = filter};
  if (c->argc > 2) install_asking_filter(&program);
  else if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) fail("filter", "", errno);
}

/*
 * scope-sockets: in the host's network a step could reach what listens on abstract Unix sockets there (CVE-2020-15257). Landlock forbids it
 * since Linux 6.12; with CAP_SYS_ADMIN it needs no no_new_privs.
 */
static void scope_sockets(const struct command *c) {
  (void)c;
  struct {
    uint64_t files, network, scoped;
  } rules = {.scoped = 1 /* LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET */};
  int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
  if (ruleset < 0) return; /* an older kernel, or one without Landlock */
  if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0) fail("landlock", "", errno);
  close(ruleset);
}

/* ---- exec ---- */

static void forget_signals(void) {
  sigset_t none;
  for (int i = 1; i < NSIG; i++) signal(i, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Returns if the program cannot be run, with errno; what it is must be reachable without a magic link such as /proc/self/exe. */
static void try_exec(const char *path, char **argv, char **envp) {
  int fd = open_in(AT_FDCWD, path, O_PATH, RESOLVE_NO_MAGICLINKS);
  struct stat st;
  if (fd < 0) return;
  if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
    close(fd);
    errno = EISDIR;
    return;
  }
  close(fd);
  execve(path, argv, envp);
  if (errno == ENOENT) fail(path, "interpreter", ENOENT);
}

static const char *path_variable(char **envp) {
  for (; *envp; envp++)
    if (strncmp(*envp, "PATH=", 5) == 0) return *envp + 5;
  return default_path;
}

static void search_path(char **argv, char **envp) {
  const char *path = path_variable(envp);
  char candidate[4096], denied[4096] = "";
  int error = ENOENT;
  for (const char *at = path;; at++) {
    size_t length = strcspn(at, ":");
    snprintf(candidate, sizeof candidate, "%.*s%s%s", (int)length, at, length ? "/" : "./", argv[0]);
    try_exec(candidate, argv, envp);
    if (errno == EACCES || errno == EISDIR || errno == EPERM) {
      error = errno;
      memcpy(denied, candidate, sizeof denied);
    } else if (errno != ENOENT && errno != ENOTDIR) {
      fail(candidate, "", errno);
    }
    at += length;
    if (!*at) break;
  }
  fail(error == ENOENT ? argv[0] : denied, error == ENOENT ? path : "", error);
}

/* ready: the tree is complete. Times are put back, and stdin is the root's own null device: of the host's, the mode could be changed. */
static void make_ready(const struct command *c) {
  (void)c;
  settle_times();
  int null = open_in(root_fd, "/dev/null", O_RDONLY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  if (null < 0 || dup2(null, 0) < 0) fail("/dev/null", "a mount of the step hides it", errno);
  close(null);
}

/* exec ARGUMENT-COUNT ARGUMENT... VARIABLE...: with stdin, stdout and stderr open and nothing else. The guard keeps its descriptors. */
static void execute(const struct command *c) {
  uint64_t count = number_arg(c, 1, 10), variables = c->argc - 2 - count;
  char **argv = calloc(count + 1, sizeof *argv), **envp = calloc(variables + 1, sizeof *envp);
  if (!argv || !envp || count == 0) fail("memory", "", ENOMEM);
  for (uint64_t i = 0; i < count; i++) argv[i] = c->argv[2 + i].data;
  for (uint64_t i = 0; i < variables; i++) envp[i] = c->argv[2 + count + i].data;
  if (sys_close_range(CONTROL_FD, ~0U, CLOSE_RANGE_UNSHARE) < 0) fail("descriptors", "", errno);
  forget_signals();
  if (!strchr(argv[0], '/')) search_path(argv, envp);
  try_exec(argv[0], argv, envp);
  fail(argv[0], "", errno);
}

static const struct known_command process_commands[] = {
    {"join", 2, join_cgroup},     {"unshare-cgroup", 1, unshare_cgroup},
    {"hostname", 2, set_hostname}, {"cwd", 2, change_directory},          {"limit", 4, set_limit},
    {"soft-limit", 3, set_soft_limit},
    {"umask", 2, set_umask},      {"bounding", 2, limit_bounding},       {"user", 3, become_user},
    {"seccomp", 2, install_filter}, {"capabilities", 2, drop_capabilities}, {"ready", 1, make_ready},
    {"scope-sockets", 1, scope_sockets},
    {"exec", 3, execute},         {NULL, 0, NULL},
};

_Noreturn void run_step(void) {
  const struct known_command *const tables[] = {file_commands, mount_commands,   tree_commands, network_commands,
                                               user_commands, process_commands, NULL};
  syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL); /* the host's keys are not the step's */
  setsid(); /* the terminal of whoever runs the build is out of reach */
  for (;;) { /* the prelude, then, when the step is known, the rest; it ends with `exec` */
    struct program p = read_program(CONTROL_FD);
    report->parts_read++;
    for (uint32_t i = 0; i < p.count; i++) run_command(&p.commands[i], tables);
  }
}
