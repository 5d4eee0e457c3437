/* Paths below the step's root. The tree is hostile: every path is resolved inside it, and what was found is used by descriptor only. */
#include "sandbox.h"
#include <linux/magic.h>
#include <sys/vfs.h>

#define MAX_LINKS 40
#define MAX_DEPTH 256
#define LONGEST_PATH (2 * PATH_MAX)
#define PATH_MAX 4096

int root_fd = -1;

int open_in(int dir, const char *path, uint64_t flags, uint64_t resolve) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
  for (;;) {
    int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN) return fd; /* EAGAIN: a rename raced with the look-up */
  }
}

/* ---- stubs: mount points that had to be made ---- */

static int parent_of_stub(int dir) {
  struct stat st;
  if (fstat(dir, &st) < 0) return -1;
  for (int i = 0; i < report->parent_count; i++)
    if (report->parents[i].dev == st.st_dev && report->parents[i].ino == st.st_ino) return i;
  if (report->parent_count == MAX_STUBS) return -1;
  struct parent *p = &report->parents[report->parent_count];
  *p = (struct parent){.dev = st.st_dev, .ino = st.st_ino, .times = {st.st_atim, st.st_mtim}};
  p->fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return p->fd < 0 ? -1 : report->parent_count++;
}

static void make_stub(int dir, const char *name, bool directory) {
  if (report->stub_count == MAX_STUBS) fail(name, "too many mount points", ENOSPC);
  int parent = parent_of_stub(dir);
  if (parent < 0) fail(name, "mount point", errno);
  int made = directory ? mkdirat(dir, name, 0755) : mknodat(dir, name, S_IFREG | 0644, 0);
  if (made < 0 && errno == EEXIST) return; /* somebody else's: a cache directory is shared with other steps */
  struct stat st;
  if (made < 0) fail(name, "mount point", errno);
  if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) fail(name, "mount point", errno);
  struct stub *s = &report->stubs[report->stub_count++];
  *s = (struct stub){.parent = parent, .dev = st.st_dev, .ino = st.st_ino, .directory = directory};
  snprintf(s->name, sizeof s->name, "%s", name);
}

/* Puts back the times that making mount points changed, before the step can see them. */
void settle_times(void) {
  for (int i = 0; i < report->parent_count; i++) futimens(report->parents[i].fd, report->parents[i].times);
}

/* Run by the guard, which shares the step's descriptors: the paths may lead anywhere by now, the descriptors do not (CVE-2024-23652). */
void remove_stubs(void) {
  for (int i = report->stub_count - 1; i >= 0; i--) {
    const struct stub *s = &report->stubs[i];
    int dir = report->parents[s->parent].fd;
    struct stat before, now;
    if (fstat(dir, &before) < 0 || fstatat(dir, s->name, &now, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (now.st_dev != s->dev || now.st_ino != s->ino || (!s->directory && now.st_size != 0)) continue;
    if (unlinkat(dir, s->name, s->directory ? AT_REMOVEDIR : 0) < 0) continue;
    struct timespec times[2] = {before.st_atim, before.st_mtim};
    futimens(dir, times);
  }
}

/* ---- directories that stay: they are part of the layer, as with OCI runtimes ---- */

static void make_lasting(int dir, const char *name, uid_t uid, gid_t gid) {
  if (mkdirat(dir, name, 0755) < 0 || fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) fail(name, "", errno);
}

/* ---- mount targets ---- */

/* `real-directory`: no symbolic link on the way (/proc, /sys and /dev as links: CVE-2019-19921, CVE-2023-27561).
   This and the working directory stay if they are made. */
enum target { TARGET_FILE, TARGET_DIRECTORY, TARGET_REAL_DIRECTORY, TARGET_WORKING_DIRECTORY };

struct walk {
  enum target target;
  uid_t uid; /* who gets directories that stay */
  gid_t gid;
  int dirs[MAX_DEPTH]; /* from the root down; the first is root_fd */
  int depth;
  int links;
  char rest[LONGEST_PATH];
};

static void pop_to(struct walk *w, int depth) {
  while (w->depth > depth) close(w->dirs[w->depth--]);
}

static void follow(struct walk *w, int link, const char *rest) {
  char joined[LONGEST_PATH], target[PATH_MAX];
  ssize_t n = readlinkat(link, "", target, sizeof target - 1);
  if (n <= 0) fail(rest, "symbolic link", n < 0 ? errno : ENOENT);
  target[n] = 0;
  if (w->target == TARGET_REAL_DIRECTORY) fail(target, "symbolic link", ELOOP);
  int length = snprintf(joined, sizeof joined, "%s/%s", target, rest);
  if (++w->links > MAX_LINKS || length >= (int)sizeof joined) fail(target, "symbolic link", ELOOP);
  memcpy(w->rest, joined, sizeof joined);
  if (target[0] == '/') pop_to(w, 0);
}

/* Takes one component; gives the descriptor of what the whole path names once nothing is left. */
static int step_down(struct walk *w) {
  char name[256], *at = w->rest + strspn(w->rest, "/");
  size_t length = strcspn(at, "/");
  if (length >= sizeof name) fail(w->rest, "mount point", ENAMETOOLONG);
  memcpy(name, at, length);
  name[length] = 0;
  char rest[LONGEST_PATH];
  snprintf(rest, sizeof rest, "%s", at + length);
  bool last = rest[strspn(rest, "/")] == 0;
  memcpy(w->rest, rest, sizeof rest);
  if (length == 0) return dup(w->dirs[w->depth]);
  if (strcmp(name, ".") == 0) return -1;
  if (strcmp(name, "..") == 0) {
    pop_to(w, w->depth > 0 ? w->depth - 1 : 0);
    return -1;
  }
  int dir = w->dirs[w->depth];
  int fd = open_in(dir, name, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
  if (fd < 0 && errno == ENOENT) {
    if (w->target >= TARGET_REAL_DIRECTORY) make_lasting(dir, name, w->uid, w->gid);
    else make_stub(dir, name, w->target == TARGET_DIRECTORY || !last);
    fd = open_in(dir, name, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
  }
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) fail(name, "mount point", errno);
  if (S_ISLNK(st.st_mode)) {
    follow(w, fd, rest);
    close(fd);
    return -1;
  }
  if (last && !S_ISDIR(st.st_mode)) return fd;
  if (!S_ISDIR(st.st_mode) || w->depth + 1 == MAX_DEPTH) fail(name, "mount point", ENOTDIR);
  w->dirs[++w->depth] = fd;
  return -1;
}

/* What `path` names, made with its parents where it is missing. */
static int walk_to(const char *path, struct walk start) {
  struct walk *w = calloc(1, sizeof *w);
  if (!w) fail(path, "", ENOMEM);
  *w = start;
  w->dirs[0] = root_fd;
  snprintf(w->rest, sizeof w->rest, "%s", path);
  int fd = -1;
  while (fd < 0) fd = step_down(w);
  pop_to(w, 0);
  free(w);
  return fd;
}

/* The mount point at `path`, made with its parents if it is missing. Symbolic links are followed inside the root. */
static int open_target(const char *path, enum target target) {
  uint64_t links = target == TARGET_REAL_DIRECTORY ? RESOLVE_NO_SYMLINKS : RESOLVE_NO_MAGICLINKS;
  int fd = open_in(root_fd, path, O_PATH, RESOLVE_IN_ROOT | links);
  if (fd < 0 && errno != ENOENT) fail(path, "mount point", errno);
  if (fd < 0) fd = walk_to(path, (struct walk){.target = target});
  struct stat st;
  if (fstat(fd, &st) < 0) fail(path, "mount point", errno);
  if (S_ISDIR(st.st_mode) == (target == TARGET_FILE)) fail(path, "mount point", target == TARGET_FILE ? EISDIR : ENOTDIR);
  return fd;
}

static enum target target_kind(const char *name, int mount) {
  struct stat st;
  if (fstat(mount, &st) < 0) fail(name, "mount", errno);
  if (strcmp(name, "like") == 0) return S_ISDIR(st.st_mode) ? TARGET_DIRECTORY : TARGET_FILE;
  if (strcmp(name, "file") == 0) return TARGET_FILE;
  return strcmp(name, "directory") == 0 ? TARGET_DIRECTORY : TARGET_REAL_DIRECTORY;
}

/* attach SLOT PATH file|directory|real-directory|like (what is mounted): nothing may be mounted below /proc, where a mount could make the kernel's own files lie. */
static void attach(const struct command *c) {
  const char *path = arg(c, 2);
  int mount = slot(c, 1);
  if (mount < 0) return; /* an optional file system that is not to be had */
  int target = open_target(path, target_kind(arg(c, 3), mount));
  struct statfs fs;
  struct stat st, root;
  if (fstatfs(target, &fs) < 0 || fstat(target, &st) < 0 || fstat(root_fd, &root) < 0) fail(path, "mount point", errno);
  if (fs.f_type == PROC_SUPER_MAGIC) fail(path, "mount point lies in /proc", EPERM);
  if (st.st_dev == root.st_dev && st.st_ino == root.st_ino) fail(path, "mount point is the root", EPERM);
  move_to(mount, target, path);
  close(target);
}

/* stub SLOT PATH KIND: the mount point alone, for another program to mount on. */
static void make_mount_point(const struct command *c) {
  int mount = slot(c, 1);
  close(open_target(arg(c, 2), target_kind(arg(c, 3), mount < 0 ? root_fd : mount)));
}

/* working-directory PATH UID GID: made for the step's user where it is missing; what else may be wrong with it shows when it is entered. */
static void make_working_directory(const struct command *c) {
  const char *path = arg(c, 1);
  int fd = open_in(root_fd, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  if (fd < 0 && errno != ENOENT) return;
  struct walk start = {
      .target = TARGET_WORKING_DIRECTORY, .uid = (uid_t)number_arg(c, 2, 10), .gid = (gid_t)number_arg(c, 3, 10)};
  close(fd < 0 ? walk_to(path, start) : fd);
}

static void settle(const struct command *c) {
  (void)c;
  settle_times();
}

/* The kernel's own files: no link is followed, and what is missing needs no hiding. */
static int open_system_path(const char *path) {
  int fd = open_in(root_fd, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
  if (fd < 0 && errno != ENOENT && errno != ENOTDIR) fail(path, "", errno);
  return fd;
}

/* mask PATH NULL-PATH: an empty read-only directory or the null device over it. */
static void mask(const struct command *c) {
  int target = open_system_path(arg(c, 1));
  struct stat st;
  if (target < 0) return;
  if (fstat(target, &st) < 0) fail(arg(c, 1), "", errno);
  int source;
  if (S_ISDIR(st.st_mode)) {
    int empty = sys_fsopen("tmpfs", FSOPEN_CLOEXEC);
    sys_fsconfig(empty, FSCONFIG_SET_STRING, "size", "0");
    if (empty < 0 || sys_fsconfig(empty, FSCONFIG_CMD_CREATE, NULL, NULL) < 0) fail(arg(c, 1), "tmpfs", errno);
    source = sys_fsmount(empty, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    close(empty);
  } else {
    int null = open_system_path(arg(c, 2));
    struct stat device;
    if (null < 0 || fstat(null, &device) < 0 || !S_ISCHR(device.st_mode) || device.st_rdev != 0x103 /* 1:3 */)
      fail(arg(c, 2), "not the null device", EINVAL);
    source = sys_open_tree(null, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    close(null);
  }
  if (source < 0) fail(arg(c, 1), "", errno);
  move_to(source, target, arg(c, 1));
  close(source);
  close(target);
}

/* read-only PATH */
static void make_read_only(const struct command *c) {
  int target = open_system_path(arg(c, 1));
  if (target < 0) return;
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
  int tree = sys_open_tree(target, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0 || sys_mount_setattr(tree, AT_RECURSIVE, &attr) < 0) fail(arg(c, 1), "", errno);
  move_to(tree, target, arg(c, 1));
  close(tree);
  close(target);
}

/* replace SLOT PATH: a file of ours over one of the kernel's. */
static void replace(const struct command *c) {
  int target = open_system_path(arg(c, 2));
  if (target < 0) return;
  move_to(slot(c, 1), target, arg(c, 2));
  close(target);
}

/* directory PATH MODE, link PATH TARGET, placeholder PATH: for file systems of our own, before the step runs; these are no stubs. */
static void make_directory(const struct command *c) {
  if (mkdirat(root_fd, arg(c, 1), (mode_t)number_arg(c, 2, 8)) < 0 && errno != EEXIST) fail(arg(c, 1), "", errno);
}

static void make_placeholder(const struct command *c) {
  if (mknodat(root_fd, arg(c, 1), S_IFREG | 0644, 0) < 0 && errno != EEXIST) fail(arg(c, 1), "", errno);
}

static void make_link(const struct command *c) {
  if (symlinkat(arg(c, 2), root_fd, arg(c, 1)) < 0 && errno != EEXIST) fail(arg(c, 1), "", errno);
}

const struct known_command tree_commands[] = {
    {"attach", 4, attach},           {"mask", 3, mask},      {"read-only", 2, make_read_only}, {"replace", 3, replace},
    {"directory", 3, make_directory}, {"link", 3, make_link}, {"placeholder", 2, make_placeholder},
    {"stub", 4, make_mount_point},    {"settle", 1, settle},  {"working-directory", 4, make_working_directory},
    {NULL, 0, NULL},
};
