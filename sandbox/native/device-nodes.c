/*
 * Device nodes that a step makes. In a user namespace the kernel refuses them to everybody; a step that may make them asks us instead: its
 * filter of system calls stops mknod for such a node, and a process that the guard starts for it does what the caller would be allowed to do.
 *
 * The caller is hostile. Where it is, and what it asks for, is read once; from then on it is taken by descriptor. The node is made under the
 * caller's root, ids and capabilities, so that the kernel decides as it would have decided for the caller.
 */
#include "sandbox.h"
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#define LONGEST_NAME 4096 /* PATH_MAX, its NUL included */
#define MOST_GROUPS 65536 /* NGROUPS_MAX */

/* ---- the step ---- */

static int guard_events = -1;

void watch_for_steps(int events) { guard_events = events; }

/* The step shares the guard's descriptors until it runs its program: what it adds here wakes the guard. */
void install_asking_filter(struct sock_fprog *filter) {
  static const unsigned long waits[] = {SECCOMP_FILTER_FLAG_NEW_LISTENER | 1UL << 5 /* WAIT_KILLABLE_RECV, since 5.19 */,
                                        SECCOMP_FILTER_FLAG_NEW_LISTENER};
  int listener = -1;
  errno = EINVAL;
  for (size_t i = 0; i < 2 && listener < 0 && errno == EINVAL; i++)
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, waits[i], filter);
  if (listener < 0 && errno == EBUSY && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter) == 0) {
    note("steps can make no device nodes: whoever started tsbuild listens to its system calls");
    return;
  }
  if (listener < 0) fail("filter", "listener", errno);
  struct epoll_event asked = {.events = EPOLLIN, .data = {.fd = listener}};
  if (epoll_ctl(guard_events, EPOLL_CTL_ADD, listener, &asked) < 0) fail("filter", "epoll", errno);
}

/* ---- the caller ---- */

/* Those that decide about a new node. CAP_MKNOD is good for it here: we are in the host's user namespace. */
static const uint64_t about_files = 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_FSETID | 1ULL << CAP_MKNOD;

struct caller {
  int directory, memory, root, base; /* its own in /proc, its memory, its root, what a relative path begins at */
  uid_t uid;
  gid_t gid;
  mode_t umask;
  uint64_t capabilities;
  size_t groups;
};

static gid_t groups[MOST_GROUPS];
static char status[1 << 20], path[LONGEST_NAME];

static size_t read_whole(int fd, char *text, size_t size) {
  size_t done = 0;
  for (ssize_t n; done < size - 1 && (n = read(fd, text + done, size - 1 - done)) > 0;) done += (size_t)n;
  text[done] = 0;
  return done;
}

/* What stands behind NAME in the status, and the n-th number of that. */
static const char *field(const char *name) {
  const char *at = strstr(status, name);
  return at ? at + strlen(name) : "";
}

static unsigned long nth_number(const char *at, int n, int base) {
  char *end = (char *)(uintptr_t)at;
  unsigned long number = 0;
  for (int i = 0; i <= n; i++) number = strtoul(end, &end, base);
  return number;
}

/* Ids and capabilities as they hold for files: the last of the four ids. */
static int read_credentials(struct caller *who) {
  int fd = openat(who->directory, "status", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read_whole(fd, status, sizeof status) == 0) return -1;
  close(fd);
  who->uid = (uid_t)nth_number(field("\nUid:"), 3, 10);
  who->gid = (gid_t)nth_number(field("\nGid:"), 3, 10);
  who->umask = (mode_t)nth_number(field("\nUmask:"), 0, 8);
  who->capabilities = strtoull(field("\nCapEff:"), NULL, 16);
  who->capabilities &= about_files;
  const char *at = field("\nGroups:");
  for (char *end; who->groups < MOST_GROUPS && *at != '\n' && (groups[who->groups] = (gid_t)strtoul(at, &end, 10), end != at); at = end + strspn(end, " "))
    who->groups++;
  return 0;
}

/* Of a process by its number as we see it. */
static int open_caller(int proc, uint32_t pid, struct caller *who) {
  char name[16];
  snprintf(name, sizeof name, "%u", pid);
  who->directory = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (who->directory < 0 || read_credentials(who) < 0) return -1;
  who->root = openat(who->directory, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  who->memory = openat(who->directory, "mem", O_RDONLY | O_CLOEXEC);
  return who->root < 0 || who->memory < 0 ? -1 : 0;
}

/* An errno as the kernel gives it for such an argument. */
static int read_path(int memory, uint64_t address) {
  for (size_t done = 0; done < sizeof path;) {
    ssize_t n = pread(memory, path + done, sizeof path - done, (off_t)(address + done));
    if (n <= 0) return EFAULT;
    if (memchr(path + done, 0, (size_t)n)) return *path ? 0 : ENOENT;
    done += (size_t)n;
  }
  return ENAMETOOLONG;
}

static int open_base(struct caller *who, int directory) {
  char name[24] = "cwd";
  if (directory != AT_FDCWD) snprintf(name, sizeof name, "fd/%d", directory);
  who->base = openat(who->directory, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (who->base >= 0) return 0;
  return errno == ENOENT ? EBADF : errno;
}

/* ---- the call ---- */

struct wanted_node {
  int directory; /* or AT_FDCWD */
  uint64_t path; /* its address */
  uint32_t mode, device;
};

static bool names_directory(const struct seccomp_data *call) {
#if defined __x86_64__
  if (call->arch == AUDIT_ARCH_I386) return call->nr == 297;
  return (call->nr & ~0x40000000) == SYS_mknodat; /* x32 has a bit more */
#elif defined __aarch64__
  return call->nr == (call->arch == AUDIT_ARCH_ARM ? 324 : SYS_mknodat);
#else
  return call->nr == SYS_mknodat;
#endif
}

/* mknodat has the directory before what mknod has. */
static struct wanted_node wanted_of(const struct seccomp_data *call) {
  bool at = names_directory(call);
  const __u64 *rest = call->args + at;
  return (struct wanted_node){
      .directory = at ? (int)call->args[0] : AT_FDCWD, .path = rest[0], .mode = (uint16_t)rest[1], .device = (uint32_t)rest[2]};
}

/* Acts as somebody, or as ourselves again, as far as that decides about files; what is permitted to us stays. */
static void act_as(const struct caller *who, uint64_t permitted) {
  set_capabilities(permitted, permitted);
  if (fchdir(who->root) < 0 || chroot(".") < 0 || fchdir(who->base) < 0) fail("root", "", errno);
  umask(who->umask);
  if (syscall(SYS_setgroups, who->groups, groups) < 0 || syscall(SYS_setresgid, who->gid, who->gid, who->gid) < 0) fail("group", "", errno);
  if (syscall(SYS_setresuid, who->uid, who->uid, who->uid) < 0) fail("user", "", errno);
  set_capabilities(permitted, permitted & who->capabilities);
}

/* ---- the process that serves one step ---- */

struct server {
  int listener, proc;
  uint64_t permitted;
  struct caller ourselves;
};

/* 0 or an errno. A caller that is gone by the time that all of it was read may have been another one. */
static int make_node(const struct server *server, const struct seccomp_notif *asked, struct caller *who) {
  struct wanted_node node = wanted_of(&asked->data);
  if (open_caller(server->proc, asked->pid, who) < 0) return EPERM;
  int error = read_path(who->memory, node.path);
  if (!error) error = open_base(who, *path == '/' ? AT_FDCWD : node.directory);
  if (ioctl(server->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked->id) < 0) return EPERM;
  if (error) return error;
  act_as(who, server->permitted);
  error = syscall(SYS_mknodat, AT_FDCWD, path, node.mode, node.device) < 0 ? errno : 0;
  act_as(&server->ourselves, server->permitted);
  return error;
}

static void serve_one(const struct server *server) {
  union {
    struct seccomp_notif notif;
    char room[512]; /* the kernel's may be longer than ours */
  } asked = {.room = {0}};
  union {
    struct seccomp_notif_resp response;
    char room[512];
  } answer = {.room = {0}};
  struct caller who = {.directory = -1, .memory = -1, .root = -1, .base = -1};
  if (ioctl(server->listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0) return; /* the caller was killed meanwhile */
  answer.response.error = -make_node(server, &asked.notif, &who);
  answer.response.id = asked.notif.id;
  ioctl(server->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer); /* nobody is there any more if it fails */
  int opened[] = {who.directory, who.memory, who.root, who.base};
  for (size_t i = 0; i < sizeof opened / sizeof *opened; i++)
    if (opened[i] >= 0) close(opened[i]);
}

/* Into the step's cgroups, as far as it has any: what is made counts as made by the step. */
static void join_cgroups(int unified) {
  int procs = unified < 0 ? -1 : openat(unified, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  if (procs >= 0) report->cgroups[report->cgroup_count++] = procs;
  for (int i = 0; i < report->cgroup_count; i++)
    if (write(report->cgroups[i], "0", 1) != 1) _exit(1);
}

/* A /proc of our own pid namespace: the host's numbers processes otherwise. */
static int open_proc(void) {
  int fs = sys_fsopen("proc", FSOPEN_CLOEXEC);
  if (fs < 0 || sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0) fail("proc", "", errno);
  return sys_fsmount(fs, FSMOUNT_CLOEXEC, 0);
}

_Noreturn static void serve(int listener) {
  int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct server server = {.listener = listener, .proc = open_proc(), .permitted = permitted_capabilities(), .ourselves = {.root = root, .base = root}};
  struct pollfd calls = {.fd = listener, .events = POLLIN};
  server.ourselves.capabilities = server.permitted;
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) fail("keepcaps", "", errno);
  while (poll(&calls, 1, -1) > 0 && calls.revents == POLLIN) serve_one(&server);
  _exit(0);
}

/* Of the guard, when its step asks for the first time, or is at its end. Without such a process the kernel says ENOSYS to the step. */
void start_serving(int events, const struct epoll_event *event, int unified) {
  int listener = event->data.fd;
  epoll_ctl(events, EPOLL_CTL_DEL, listener, NULL);
  if (event->events & EPOLLIN && fork() == 0) {
    join_cgroups(unified);
    report = NULL; /* what fails from here on is not the step's failure */
    serve(listener);
  }
  close(listener);
}
