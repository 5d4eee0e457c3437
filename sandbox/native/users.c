/* User namespaces of root's steps. Each belongs with a network: over that, a step's capabilities are good for something. */
#include "sandbox.h"
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

/* Every id is itself, so that files get the owners that the layer is to have: what ends at the border are the capabilities. */
static const char identity[] = "0 0 4294967295";

static bool wanted;
static int refused;

/* users-of-network: of the keeper; the network that it makes gets a user namespace, or the reason is told. */
static void want_users(const struct command *c) {
  (void)c;
  wanted = true;
}

/* Those limits of its maker's hold in a user namespace whatever --ulimit says. */
static void lift_limits(void) {
  static const unsigned limits[] = {RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_SIGPENDING};
  struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) setrlimit(limits[i], &none);
}

static bool map_ids(pid_t pid) {
  char users[40], groups[40];
  snprintf(users, sizeof users, "/proc/%d/uid_map", pid);
  snprintf(groups, sizeof groups, "/proc/%d/gid_map", pid);
  return write_text(users, identity) && write_text(groups, identity);
}

/* A network of a user namespace; both are made by a child, which ends when it is done or we have. -1 with errno. */
static int network_with_users(void) {
  struct clone_args args = {.flags = CLONE_NEWUSER | CLONE_NEWNET, .exit_signal = SIGCHLD};
  int done[2], network = -1;
  char byte, path[40];
  if (pipe2(done, O_CLOEXEC) < 0) return -1;
  lift_limits();
  pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof args);
  if (child == 0) {
    close(done[1]);
    _exit(read(done[0], &byte, 1) == 0 ? 0 : 1);
  }
  snprintf(path, sizeof path, "/proc/%d/ns/net", child);
  if (child > 0 && map_ids(child)) network = open(path, O_RDONLY | O_CLOEXEC);
  int error = errno;
  close(done[0]);
  close(done[1]);
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  errno = error;
  return network;
}

/* The keeper goes into a network of its own. */
void enter_new_network(const char *subject) {
  int network = wanted ? network_with_users() : -1;
  if (wanted && network < 0) refused = errno;
  if ((network < 0 ? unshare(CLONE_NEWNET) : setns(network, CLONE_NEWNET)) < 0) fail(subject, "", errno);
  if (network >= 0) close(network);
}

const char *users_refused(void) { return refused ? strerror(refused) : ""; }

static int joined = -1;

/* network-join PATH: of the step, into a network that is kept. */
static void join_network(const struct command *c) {
  joined = open(arg(c, 1), O_RDONLY | O_CLOEXEC);
  if (joined < 0 || setns(joined, CLONE_NEWNET) < 0) fail(arg(c, 1), "", errno);
}

/* join-users: of the step, into the user namespace of the network that it has joined. There it has all capabilities until it drops them. */
static void join_users(const struct command *c) {
  int users = ioctl(joined, NS_GET_USERNS);
  if (users < 0 || setns(users, CLONE_NEWUSER) < 0) fail(arg(c, 0), "", errno);
}

const struct known_command keeper_user_commands[] = {{"users-of-network", 1, want_users}, {NULL, 0, NULL}};
const struct known_command user_commands[] = {{"network-join", 2, join_network}, {"join-users", 1, join_users}, {NULL, 0, NULL}};
