/*
 * Mounts are made detached and kept by number (slot) until they are attached. Everything that lies on the host is opened before `root`, which
 * takes the host's tree away.
 */
#include "sandbox.h"
#include <sys/sysmacros.h>

#define MAX_SLOTS 1024
#define FD_PATH 32

static int slots[MAX_SLOTS];
static int scratch = -1; /* a tmpfs of our own: files in memory, and places to mount on for a moment */

static int host_open(const char *path, uint64_t flags) {
  int fd = open_in(AT_FDCWD, path, flags, 0);
  if (fd < 0) fail(path, "", errno);
  return fd;
}

int slot(const struct command *c, uint32_t index) {
  uint64_t n = number_arg(c, index, 10);
  if (n >= MAX_SLOTS) fail(arg(c, index), "too many mounts", ENOSPC);
  return slots[n] - 1;
}

static void keep_slot(const struct command *c, int fd) {
  slot(c, 1); /* checks the number */
  slots[number_arg(c, 1, 10)] = fd + 1;
}

void move_to(int mount, int target, const char *subject) {
  if (sys_move_mount(mount, target, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) fail(subject, "mount", errno);
}

static int clone_mount(int fd, unsigned flags, const char *subject) {
  int tree = sys_open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
  if (tree < 0) fail(subject, "bind mount", errno);
  return tree;
}

/* Names separated by commas; `nodev-unless-filtered` is `nodev` where no device filter guards the step's cgroup. */
static uint64_t attributes(const char *names) {
  static const struct {
    const char *name;
    uint64_t bit;
  } known[] = {{"ro", MOUNT_ATTR_RDONLY}, {"nosuid", MOUNT_ATTR_NOSUID}, {"nodev", MOUNT_ATTR_NODEV}, {"noexec", MOUNT_ATTR_NOEXEC}};
  uint64_t bits = 0;
  for (const char *at = names; *at; at += strspn(at, ",")) {
    size_t length = strcspn(at, ",");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
      if (strlen(known[i].name) == length && strncmp(known[i].name, at, length) == 0) bits |= known[i].bit;
    if (strncmp(at, "nodev-unless-filtered", length) == 0 && length > 5 && !report->devices_filtered) bits |= MOUNT_ATTR_NODEV;
    at += length;
  }
  return bits;
}

static void set_attributes(int mount, uint64_t bits, const char *subject) {
  struct mount_attr attr = {.attr_set = bits};
  if (bits && sys_mount_setattr(mount, AT_RECURSIVE, &attr) < 0) fail(subject, "mount attributes", errno);
}

/* What the kernel has to say of a failed file system context. */
static void fail_with_log(int fs, const char *subject, int error) {
  char log[400];
  ssize_t n = fs < 0 ? -1 : read(fs, log, sizeof log - 1);
  log[n < 0 ? 0 : n] = 0;
  fail(subject, log, error);
}

/* private: no mount of ours reaches the host, and none of the host's reaches us. */
static void make_private(const struct command *c) {
  if (sys_mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail(arg(c, 0), "", errno);
}

/* scratch DIRECTORY: an empty directory of the host to start from. */
static void make_scratch(const struct command *c) {
  int fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC), target = host_open(arg(c, 1), O_PATH | O_DIRECTORY);
  sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700");
  sys_fsconfig(fs, FSCONFIG_SET_FLAG, "noswap", NULL); /* since 6.4: what is a secret stays off the disks */
  if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0) fail_with_log(fs, "tmpfs", errno);
  scratch = sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID);
  if (scratch < 0) fail("tmpfs", "", errno);
  move_to(scratch, target, arg(c, 1));
  if (mkdirat(scratch, "mnt", 0700) < 0) fail("tmpfs", "", errno);
  close(fs);
  close(target);
}

/* fs SLOT TYPE ATTRIBUTES FALLBACK OPTION...: a new file system. FALLBACK: a directory of the host to show instead, `none` or `fail`. */
static void new_filesystem(const struct command *c) {
  const char *type = arg(c, 2), *fallback = arg(c, 4);
  uint64_t attrs = attributes(arg(c, 3));
  int fs = sys_fsopen(type, FSOPEN_CLOEXEC), mount = -1;
  for (uint32_t i = 5; fs >= 0 && i < c->argc; i++) {
    char *key = c->argv[i].data, *value = strchr(key, '=');
    if (value) *value++ = 0;
    if (sys_fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value) < 0) fail_with_log(fs, key, errno);
  }
  if (fs >= 0 && sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) == 0)
    mount = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attrs);
  int error = errno;
  if (mount < 0 && strcmp(fallback, "fail") == 0) fail_with_log(fs, type, error);
  if (mount < 0 && strcmp(fallback, "none") != 0) {
    int host = host_open(fallback, O_PATH);
    mount = clone_mount(host, AT_RECURSIVE, fallback);
    set_attributes(mount, attrs, fallback);
    close(host);
  }
  if (fs >= 0) close(fs);
  keep_slot(c, mount);
}

/* ---- overlay ---- */

/* A short name for a path however long: fsconfig takes 255 bytes, mount(2) a page for all options together. */
static void name_by_descriptor(char *name, const char *path, int *fd) {
  *fd = host_open(path, O_PATH | O_DIRECTORY);
  snprintf(name, FD_PATH, "/proc/self/fd/%d", *fd);
}

struct overlay {
  bool user_xattrs, is_volatile;
  uint32_t lowers; /* names[0] is upper, names[1] work, then the lowest layer first */
  char (*names)[FD_PATH];
  bool writable;
};

/* -1 with errno where the kernel cannot do it this way. */
static int overlay_by_context(const struct overlay *o, int *fs) {
  *fs = sys_fsopen("overlay", FSOPEN_CLOEXEC);
  if (*fs < 0) return -1;
  for (uint32_t i = o->lowers; i > 0; i--)
    if (sys_fsconfig(*fs, FSCONFIG_SET_STRING, "lowerdir+", o->names[i + 1]) < 0) return -1;
  static const char *const options[][2] = {{"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"index", "off"}};
  for (size_t i = 0; i < 3; i++)
    if (sys_fsconfig(*fs, FSCONFIG_SET_STRING, options[i][0], options[i][1]) < 0) return -1;
  if (o->user_xattrs && sys_fsconfig(*fs, FSCONFIG_SET_FLAG, "userxattr", NULL) < 0) return -1;
  if (o->writable && (sys_fsconfig(*fs, FSCONFIG_SET_STRING, "upperdir", o->names[0]) < 0 ||
                      sys_fsconfig(*fs, FSCONFIG_SET_STRING, "workdir", o->names[1]) < 0))
    return -1;
  if (o->is_volatile && sys_fsconfig(*fs, FSCONFIG_SET_FLAG, "volatile", NULL) < 0) return -1;
  if (sys_fsconfig(*fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0) return -1;
  return sys_fsmount(*fs, FSMOUNT_CLOEXEC, 0);
}

/* For kernels before 6.7, which have no `lowerdir+`. */
static int overlay_by_mount(const struct overlay *o) {
  char data[4096], target[FD_PATH];
  int place = openat(scratch, "mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int used = snprintf(data, sizeof data, "redirect_dir=nofollow,metacopy=off,index=off%s%s", o->user_xattrs ? ",userxattr" : "",
                      o->is_volatile ? ",volatile" : "");
  if (o->writable)
    used += snprintf(data + used, sizeof data - (size_t)used, ",upperdir=%s,workdir=%s", o->names[0], o->names[1]);
  for (uint32_t i = o->lowers; i > 0 && used < (int)sizeof data; i--)
    used += snprintf(data + used, sizeof data - (size_t)used, "%s%s", i == o->lowers ? ",lowerdir=" : ":", o->names[i + 1]);
  if (used >= (int)sizeof data) fail("overlay", "too many layers for this kernel", E2BIG);
  snprintf(target, sizeof target, "/proc/self/fd/%d", place);
  if (sys_mount("overlay", target, "overlay", 0, data) < 0) {
    close(place);
    return -1;
  }
  int mounted = openat(scratch, "mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int mount = clone_mount(mounted, 0, "overlay");
  snprintf(target, sizeof target, "/proc/self/fd/%d", mounted);
  sys_umount(target, DETACH);
  close(mounted);
  close(place);
  return mount;
}

/* `volatile` leaves a mark that refuses a second mount; the tree is ours alone until it is committed, so the mark says nothing. */
static void forget_volatile(const char *work) {
  static const char *const marks[] = {"/work/incompat/volatile/dirty", "/work/incompat/volatile", "/work/incompat"};
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
    char path[FD_PATH + 32];
    snprintf(path, sizeof path, "%s%s", work, marks[i]);
    if (remove(path) < 0) return;
  }
}

/* overlay SLOT ATTRIBUTES trusted|user UPPER WORK LOWER...: lowest layer first; UPPER and WORK are empty for a read-only view. */
static void new_overlay(const struct command *c) {
  struct overlay o = {.user_xattrs = strcmp(arg(c, 3), "user") == 0, .writable = *arg(c, 4), .lowers = c->argc - 6};
  if (!o.writable && o.lowers == 1) { /* one layer alone is not an overlay */
    int lower = host_open(arg(c, 6), O_PATH | O_DIRECTORY), mount = clone_mount(lower, 0, arg(c, 6));
    set_attributes(mount, attributes(arg(c, 2)) | MOUNT_ATTR_RDONLY, arg(c, 6));
    close(lower);
    keep_slot(c, mount);
    return;
  }
  int *fds = calloc(o.lowers + 2, sizeof *fds), fs = -1;
  o.names = calloc(o.lowers + 2, FD_PATH);
  if (!fds || !o.names) fail("memory", "", ENOMEM);
  for (uint32_t i = o.writable ? 0 : 2; i < o.lowers + 2; i++) name_by_descriptor(o.names[i], arg(c, i + 4), &fds[i]);
  if (o.writable) forget_volatile(o.names[1]);
  o.is_volatile = o.writable;
  int mount = -1;
  for (int attempt = 0; attempt < 4 && mount < 0; attempt++) {
    o.is_volatile = o.writable && attempt % 2 == 0;
    if (fs >= 0) close(fs);
    fs = -1;
    mount = attempt < 2 ? overlay_by_context(&o, &fs) : overlay_by_mount(&o);
    if (mount < 0 && errno != EINVAL) break;
  }
  if (mount < 0) fail_with_log(fs, arg(c, o.lowers + 5), errno);
  set_attributes(mount, attributes(arg(c, 2)), "overlay");
  for (uint32_t i = o.writable ? 0 : 2; i < o.lowers + 2; i++) close(fds[i]);
  if (fs >= 0) close(fs);
  free(fds);
  free(o.names);
  keep_slot(c, mount);
}

/* ---- parts of trees, files in memory, devices ---- */

/* part SLOT ATTRIBUTES TREE-SLOT PATH: what lies at PATH inside a detached tree (a copy: later changes of names do not move it). */
static void part_of_tree(const struct command *c) {
  int place = openat(scratch, "mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
  move_to(slot(c, 3), place, "tree");
  int tree = openat(scratch, "mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int fd = open_in(tree, arg(c, 4), O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  if (fd < 0) fail(arg(c, 4), "mount source", errno);
  int mount = clone_mount(fd, 0, arg(c, 4));
  set_attributes(mount, attributes(arg(c, 2)), arg(c, 4));
  char mounted[FD_PATH];
  snprintf(mounted, sizeof mounted, "/proc/self/fd/%d", tree);
  close(fd);
  sys_umount(mounted, DETACH);
  close(place);
  close(tree);
  keep_slot(c, mount);
}

/* bind SLOT ATTRIBUTES DIRECTORY PATH [recursive]: what lies at PATH inside a directory of the host. */
static void bind_mount(const struct command *c) {
  int top = host_open(arg(c, 3), O_PATH);
  int fd = *arg(c, 4) ? open_in(top, arg(c, 4), O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) : dup(top);
  if (fd < 0) fail(arg(c, 4), "mount source", errno);
  int mount = clone_mount(fd, c->argc > 5 ? AT_RECURSIVE : 0, arg(c, 3));
  set_attributes(mount, attributes(arg(c, 2)), arg(c, 3));
  close(fd);
  close(top);
  keep_slot(c, mount);
}

static int keep_scratch_file(const struct command *c, const char *name, const char *attrs) {
  int fd = openat(scratch, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail(name, "", errno);
  int mount = clone_mount(fd, 0, name);
  set_attributes(mount, attributes(attrs), name);
  keep_slot(c, mount);
  return fd;
}

/* file SLOT ATTRIBUTES MODE UID GID DATA: a file in memory. */
static void memory_file(const struct command *c) {
  char name[FD_PATH];
  snprintf(name, sizeof name, "file-%s", arg(c, 1));
  int fd = openat(scratch, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const struct bytes *data = &c->argv[6];
  for (uint32_t done = 0; fd >= 0 && done < data->size;) {
    ssize_t n = write(fd, data->data + done, data->size - done);
    if (n < 0) fail("file in memory", "", errno);
    done += (uint32_t)n;
  }
  if (fd < 0 || fchown(fd, (uid_t)number_arg(c, 4, 10), (gid_t)number_arg(c, 5, 10)) < 0 ||
      fchmod(fd, (mode_t)number_arg(c, 3, 8)) < 0)
    fail("file in memory", "", errno);
  close(fd);
  close(keep_scratch_file(c, name, arg(c, 2)));
}

/*
 * device SLOT HOST-PATH character|block MAJOR MINOR MODE UID GID: a device node of our own; where none can be made, the host's, if it is what
 * it should be.
 */
static void device(const struct command *c) {
  dev_t number = makedev(number_arg(c, 4, 10), number_arg(c, 5, 10));
  mode_t type = strcmp(arg(c, 3), "block") == 0 ? S_IFBLK : S_IFCHR, mode = (mode_t)number_arg(c, 6, 8);
  char name[FD_PATH];
  snprintf(name, sizeof name, "device-%s", arg(c, 1));
  if (mknodat(scratch, name, type | mode, number) == 0) {
    int node = keep_scratch_file(c, name, "nosuid,noexec");
    if (fchownat(node, "", (uid_t)number_arg(c, 7, 10), (gid_t)number_arg(c, 8, 10), AT_EMPTY_PATH) < 0) fail(arg(c, 2), "chown", errno);
    close(node);
    return;
  }
  struct stat st;
  int fd = host_open(arg(c, 2), O_PATH | O_NOFOLLOW);
  if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != type || st.st_rdev != number) fail(arg(c, 2), "not the device of that name", ENODEV);
  int mount = clone_mount(fd, 0, arg(c, 2));
  set_attributes(mount, attributes("nosuid,noexec"), arg(c, 2));
  close(fd);
  keep_slot(c, mount);
}

/* place SLOT NAME: attached below the scratch directory, for programs that want a path. */
static void place(const struct command *c) {
  const char *name = arg(c, 2);
  int mount = slot(c, 1);
  struct stat st;
  if (fstat(mount, &st) < 0) fail(name, "", errno);
  if (mknodat(scratch, name, S_IFREG | 0600, 0) < 0 && errno != EEXIST) fail(name, "", errno);
  if (S_ISDIR(st.st_mode) && (unlinkat(scratch, name, 0) < 0 || mkdirat(scratch, name, 0700) < 0)) fail(name, "", errno);
  int target = openat(scratch, name, O_PATH | O_CLOEXEC);
  move_to(mount, target, name);
  close(target);
}

/* within SLOT: mount points are made in this tree, which stays where it is. */
static void work_within(const struct command *c) { root_fd = slot(c, 1); }

/* cover SLOT PATH: over a directory of the host, as this step sees it. */
static void cover(const struct command *c) {
  int target = host_open(arg(c, 2), O_PATH | O_DIRECTORY);
  move_to(slot(c, 1), target, arg(c, 2));
  close(target);
}

/* protect SLOT: what was written to while it was filled is read-only from here on. */
static void protect(const struct command *c) { set_attributes(slot(c, 1), MOUNT_ATTR_RDONLY, "read-only"); }

/* root SLOT: the tree becomes the root, and the host's is gone. */
static void enter_root(const struct command *c) {
  int place = openat(scratch, "mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
  move_to(slot(c, 1), place, "root");
  if (fchdir(slot(c, 1)) < 0) fail("root", "chdir", errno);
  if (syscall(SYS_pivot_root, ".", ".") < 0) fail("root", "pivot_root", errno);
  if (sys_umount(".", DETACH) < 0 || chdir("/") < 0) fail("root", "umount", errno);
  root_fd = host_open("/", O_PATH | O_DIRECTORY);
  close(place);
  close(scratch);
}

const struct known_command mount_commands[] = {
    {"private", 1, make_private}, {"scratch", 2, make_scratch}, {"fs", 5, new_filesystem}, {"overlay", 7, new_overlay},
    {"part", 5, part_of_tree},    {"bind", 5, bind_mount},      {"file", 7, memory_file},  {"device", 9, device},
    {"root", 2, enter_root},      {"protect", 2, protect},      {"place", 3, place},
    {"within", 2, work_within},   {"cover", 3, cover},          {NULL, 0, NULL},
};
