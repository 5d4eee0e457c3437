/* Networks of steps: a pair of interfaces that leads to the host, or a program that is the network (slirp4netns, pasta). */
#include "netlink.h"
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Where the network's program finds the namespace, and how long that may take; how long the kernel may take to remove what was killed. */
#define NETWORK_FD 4
#define READY_MS 5000
#define GONE_MS 2000

/* ---- interfaces ---- */

/* An ordinary socket, for requests by name; like every socket it stays in the namespace that it was made in. */
static int open_socket(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket", "", errno);
  return fd;
}

static int find_interface(int socket, const char *name) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl(socket, SIOCGIFINDEX, &request) < 0) fail(name, "", errno);
  return request.ifr_ifindex;
}

static void check_answer(int error, const char *subject) {
  if (error) fail(subject, "", error);
}

static void set_up(int fd, int index, const char *name) {
  struct ifinfomsg link = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct request r = begin_request(RTM_NEWLINK, 0, &link, sizeof link);
  check_answer(send_request(fd, &r), name);
}

/* The argument ADDRESS/PREFIX. */
static void add_address(int fd, int index, const char *text) {
  char address[INET_ADDRSTRLEN];
  unsigned prefix;
  struct in_addr ip;
  if (sscanf(text, "%15[0-9.]/%u", address, &prefix) != 2 || inet_pton(AF_INET, address, &ip) != 1) fail(text, "no address", EINVAL);
  struct ifaddrmsg message = {.ifa_family = AF_INET, .ifa_prefixlen = (unsigned char)prefix, .ifa_index = (unsigned)index};
  struct request r = begin_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &message, sizeof message);
  attribute(&r, IFA_LOCAL, &ip, sizeof ip);
  attribute(&r, IFA_ADDRESS, &ip, sizeof ip);
  check_answer(send_request(fd, &r), text);
}

static void add_default_route(int fd, const char *gateway) {
  struct in_addr ip;
  if (inet_pton(AF_INET, gateway, &ip) != 1) fail(gateway, "no address", EINVAL);
  struct rtmsg route = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
  struct request r = begin_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
  attribute(&r, RTA_GATEWAY, &ip, sizeof ip);
  check_answer(send_request(fd, &r), gateway);
}

/* ---- a pair of interfaces ---- */

/* The host's end, and our own, which goes into the namespace of process `pid`. */
static int add_pair(int netlink, const char *name, pid_t pid, uint32_t mtu) {
  uint32_t namespace = (uint32_t)pid;
  struct ifinfomsg link = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, peer = {0};
  struct request r = begin_request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  text_attribute(&r, IFLA_IFNAME, name);
  attribute(&r, IFLA_MTU, &mtu, sizeof mtu);
  size_t info = begin_nest(&r, IFLA_LINKINFO);
  text_attribute(&r, IFLA_INFO_KIND, "veth");
  size_t data = begin_nest(&r, IFLA_INFO_DATA), ours = begin_nest(&r, VETH_INFO_PEER);
  append(&r, &peer, sizeof peer);
  text_attribute(&r, IFLA_IFNAME, "eth0");
  attribute(&r, IFLA_MTU, &mtu, sizeof mtu);
  attribute(&r, IFLA_NET_NS_PID, &namespace, sizeof namespace);
  end_nest(&r, ours);
  end_nest(&r, data);
  end_nest(&r, info);
  return send_request(netlink, &r);
}

/*
 * network-pair NAME ADDRESS/PREFIX GATEWAY MTU: of the keeper, which gets a namespace of its own with that address; GATEWAY is the host's
 * end. The kernel removes the pair with the namespace, whoever is killed: only it may be that one of the same name is still on its way out.
 */
static void make_pair(const struct command *c) {
  const char *name = arg(c, 1), *gateway = arg(c, 3);
  char host_address[64];
  uint32_t mtu = (uint32_t)number_arg(c, 4, 10);
  int host = open_netlink(NETLINK_ROUTE), host_socket = open_socket(), error;
  enter_new_network(arg(c, 0));
  for (int waited = 0; (error = add_pair(host, name, getpid(), mtu)) == EEXIST && waited < GONE_MS; waited++) usleep(1000);
  check_answer(error, name);
  snprintf(host_address, sizeof host_address, "%s%s", gateway, strchr(arg(c, 2), '/'));
  add_address(host, find_interface(host_socket, name), host_address);
  close(host);
  close(host_socket);
  int inside = open_netlink(NETLINK_ROUTE), plain = open_socket(), index = find_interface(plain, "eth0");
  set_up(inside, find_interface(plain, "lo"), "lo");
  add_address(inside, index, arg(c, 2));
  set_up(inside, index, "eth0");
  add_default_route(inside, gateway);
  close(inside);
  close(plain);
}

static void loopback_up(const struct command *c) {
  int fd = open_netlink(NETLINK_ROUTE), plain = open_socket();
  (void)c;
  set_up(fd, find_interface(plain, "lo"), "lo");
  close(plain);
  close(fd);
}

/* network-loopback: of the keeper, which gets a namespace of its own that leads nowhere. */
static void make_loopback(const struct command *c) {
  enter_new_network(arg(c, 0));
  loopback_up(c);
}

/* ---- a program as the network ---- */

static pid_t program_pid = -1;

/* The program stays in the host's network, and gets ours as soon as there is one. */
_Noreturn static void run_network_program(const struct command *c, pid_t keeper, int made) {
  char **argv = calloc(c->argc, sizeof *argv), *env[] = {NULL}, path[64], byte;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL); /* pasta takes a signal that is ignored for a failure */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!argv || getppid() != keeper || read(made, &byte, 1) != 1) _exit(125);
  for (uint32_t i = 1; i < c->argc; i++) argv[i - 1] = c->argv[i].data;
  snprintf(path, sizeof path, "/proc/%d/ns/net", keeper);
  int namespace = open(path, O_RDONLY);
  if (namespace < 0 || dup2(namespace, NETWORK_FD) < 0) _exit(125);
  close(CONTROL_FD);
  sys_close_range(NETWORK_FD + 1, ~0U, 0);
  execve(argv[0], argv, env);
  _exit(127);
}

/* The program has done its work when there is a way out. */
static void await_route(const char *program) {
  char routes[8192];
  int status;
  for (int waited = 0; waited < READY_MS; waited++) {
    if (read_text("/proc/self/net/route", routes, sizeof routes) > 0 && strstr(routes, "\neth0\t00000000\t")) return;
    if (waitpid(program_pid, &status, WNOHANG) == program_pid) fail(program, "the network's program ended", ECHILD);
    usleep(1000);
  }
  fail(program, "the network's program did not make a route", ETIMEDOUT);
}

/* network-program PROGRAM ARGUMENT...: of the keeper, which gets a namespace of its own; in the arguments it is /proc/self/fd/4. */
static void start_program(const struct command *c) {
  pid_t keeper = getpid();
  int made[2];
  if (pipe2(made, O_CLOEXEC) < 0) fail("pipe", "", errno);
  program_pid = fork();
  if (program_pid < 0) fail(arg(c, 1), "", errno);
  if (program_pid == 0) {
    close(made[1]);
    run_network_program(c, keeper, made[0]);
  }
  enter_new_network(arg(c, 0));
  loopback_up(c);
  if (write(made[1], "x", 1) != 1) fail("pipe", "", errno);
  close(made[0]);
  close(made[1]);
  await_route(arg(c, 1));
}

/* ---- networks that are kept for steps ---- */

/* network-hold: of the keeper, which says that its network is there, and why it has no users where it should; it leaves when node has or wants it to. */
static void hold_network(const struct command *c) {
  struct pollfd node = {.fd = CONTROL_FD, .events = POLLRDHUP};
  (void)c;
  prctl(PR_SET_DUMPABLE, 1); /* steps open our namespace by /proc, and need not be allowed to trace for that */
  send_text('r', "network", users_refused());
  while (poll(&node, 1, -1) < 0 && errno == EINTR) {
  }
  if (program_pid <= 0) return;
  kill(program_pid, SIGKILL);
  while (waitpid(program_pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

const struct known_command network_commands[] = {
    {"loopback-up", 1, loopback_up}, {NULL, 0, NULL},
};

const struct known_command keeper_network_commands[] = {
    {"network-nat", 4, masquerade},       {"network-pair", 5, make_pair},   {"network-program", 2, start_program},
    {"network-hold", 1, hold_network},    {"network-loopback", 1, make_loopback}, {NULL, 0, NULL},
};
