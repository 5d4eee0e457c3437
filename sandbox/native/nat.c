/* Rules of the host's firewall for one step's address: nftables by its netlink protocol. */
#include "netlink.h"
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#define GONE_MS 2000
#define SOURCE_ADDRESS 12 /* offset in an IPv4 header */
#define COMMENT 0         /* a type in the data that nft and iptables keep with a rule */

static struct request begin_nft(int type, int flags) {
  struct nfgenmsg head = {.nfgen_family = NFPROTO_IPV4, .version = NFNETLINK_V0};
  return begin_request(NFNL_SUBSYS_NFTABLES << 8 | type, flags, &head, sizeof head);
}

static struct request batch_edge(int type) {
  struct nfgenmsg head = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
  struct request r = begin_request(type, 0, &head, sizeof head);
  r.header.nlmsg_flags = NLM_F_REQUEST;
  return r;
}

static void number(struct request *r, int type, uint32_t value) {
  uint32_t big = htonl(value);
  attribute(r, type, &big, sizeof big);
}

static size_t nest(struct request *r, int type) { return begin_nest(r, type | NLA_F_NESTED); }

/* ---- expressions of a rule: what is loaded goes to register 1 ---- */

struct expression {
  size_t element, data;
};

static struct expression begin_expression(struct request *r, const char *name) {
  struct expression e = {.element = nest(r, NFTA_LIST_ELEM)};
  text_attribute(r, NFTA_EXPR_NAME, name);
  e.data = nest(r, NFTA_EXPR_DATA);
  return e;
}

static void end_expression(struct request *r, struct expression e) {
  end_nest(r, e.data);
  end_nest(r, e.element);
}

static void value(struct request *r, int type, const void *data, size_t size) {
  size_t at = nest(r, type);
  attribute(r, NFTA_DATA_VALUE, data, size);
  end_nest(r, at);
}

static void load_source_address(struct request *r) {
  struct expression e = begin_expression(r, "payload");
  number(r, NFTA_PAYLOAD_DREG, NFT_REG_1);
  number(r, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
  number(r, NFTA_PAYLOAD_OFFSET, SOURCE_ADDRESS);
  number(r, NFTA_PAYLOAD_LEN, sizeof(struct in_addr));
  end_expression(r, e);
}

static void compare(struct request *r, enum nft_cmp_ops how, const void *data, size_t size) {
  struct expression e = begin_expression(r, "cmp");
  number(r, NFTA_CMP_SREG, NFT_REG_1);
  number(r, NFTA_CMP_OP, how);
  value(r, NFTA_CMP_DATA, data, size);
  end_expression(r, e);
}

/* An interface's name, or the kind of it. */
static void match_interface(struct request *r, enum nft_meta_keys key, enum nft_cmp_ops how, const char *name) {
  char padded[IFNAMSIZ] = "";
  struct expression e = begin_expression(r, "meta");
  number(r, NFTA_META_DREG, NFT_REG_1);
  number(r, NFTA_META_KEY, key);
  end_expression(r, e);
  snprintf(padded, sizeof padded, "%s", name);
  compare(r, how, padded, sizeof padded);
}

/* What of its connection has none of these bits. */
static void match_without(struct request *r, enum nft_ct_keys key, uint32_t mask) {
  uint32_t none = 0;
  struct expression e = begin_expression(r, "ct");
  number(r, NFTA_CT_DREG, NFT_REG_1);
  number(r, NFTA_CT_KEY, key);
  end_expression(r, e);
  e = begin_expression(r, "bitwise");
  number(r, NFTA_BITWISE_SREG, NFT_REG_1);
  number(r, NFTA_BITWISE_DREG, NFT_REG_1);
  number(r, NFTA_BITWISE_LEN, sizeof mask);
  value(r, NFTA_BITWISE_MASK, &mask, sizeof mask);
  value(r, NFTA_BITWISE_XOR, &none, sizeof none);
  end_expression(r, e);
  compare(r, NFT_CMP_EQ, &none, sizeof none);
}

static void decide(struct request *r, uint32_t code) {
  struct expression e = begin_expression(r, "immediate");
  number(r, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  size_t data = nest(r, NFTA_IMMEDIATE_DATA), verdict = nest(r, NFTA_DATA_VERDICT);
  number(r, NFTA_VERDICT_CODE, code);
  end_nest(r, verdict);
  end_nest(r, data);
  end_expression(r, e);
}

/* ---- the table ---- */

/* Owned by the socket that makes it: the kernel removes it when that is closed. */
static struct request new_table(const char *table) {
  struct request r = begin_nft(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
  text_attribute(&r, NFTA_TABLE_NAME, table);
  number(&r, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
  return r;
}

static struct request new_chain(const char *table, const char *name, uint32_t hook, uint32_t priority) {
  struct request r = begin_nft(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  text_attribute(&r, NFTA_CHAIN_TABLE, table);
  text_attribute(&r, NFTA_CHAIN_NAME, name);
  text_attribute(&r, NFTA_CHAIN_TYPE, hook == NF_INET_POST_ROUTING ? "nat" : "filter");
  size_t at = nest(&r, NFTA_CHAIN_HOOK);
  number(&r, NFTA_HOOK_HOOKNUM, hook);
  number(&r, NFTA_HOOK_PRIORITY, priority);
  end_nest(&r, at);
  return r;
}

static struct request new_rule(const char *table, const char *chain) {
  struct request r = begin_nft(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  text_attribute(&r, NFTA_RULE_TABLE, table);
  text_attribute(&r, NFTA_RULE_CHAIN, chain);
  return r;
}

/* 0 or an errno. All or nothing is done; the kernel has answered to each request by the time that `send` returns. */
static int send_batch(int fd, const struct request *requests, size_t count) {
  char batch[16384];
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char rest[2048];
  } answer;
  size_t size = 0;
  for (size_t i = 0; i < count; size += requests[i++].header.nlmsg_len) {
    if (size + requests[i].header.nlmsg_len > sizeof batch) return E2BIG;
    memcpy(batch + size, &requests[i], requests[i].header.nlmsg_len);
  }
  if (send(fd, batch, size, 0) < 0) return errno;
  int answers = 0;
  while (recv(fd, &answer, sizeof answer, MSG_DONTWAIT) > 0) {
    if (answer.header.nlmsg_type != NLMSG_ERROR) return EPROTO;
    if (answer.error.error) return -answer.error.error;
    answers++;
  }
  return answers ? 0 : EPROTO;
}

/* ---- rules in a chain that is not ours ---- */

struct place {
  const char *table, *chain;
};

/* A comment: its type, its size, a text. */
static void add_mark(struct request *r, const char *mark) {
  char data[64] = {COMMENT};
  size_t size = strlen(mark) + 1;
  if (size > sizeof data - 2) fail(mark, "", E2BIG);
  data[1] = (char)size;
  memcpy(data + 2, mark, size);
  attribute(r, NFTA_RULE_USERDATA, data, size + 2);
}

/* At the chain's end, where only its policy is overruled. Where iptables does not understand one rule it refuses the whole table: conditions as its own. */
static struct request accepting(const struct place *in, const char *mark, enum nft_meta_keys key, const char *interface) {
  struct request r = new_rule(in->table, in->chain);
  size_t at = nest(&r, NFTA_RULE_EXPRESSIONS);
  match_interface(&r, key, NFT_CMP_EQ, interface);
  decide(&r, NF_ACCEPT);
  end_nest(&r, at);
  add_mark(&r, mark);
  return r;
}

/* The handle of the rule where it bears the mark, else 0; as the kernel has it, in big endian. */
static uint64_t marked_handle(const struct nlmsghdr *rule, const char *mark) {
  size_t head = NLMSG_SPACE(sizeof(struct nfgenmsg));
  unsigned size = (unsigned)(rule->nlmsg_len - head);
  uint64_t handle = 0;
  bool marked = false;
  const struct rtattr *a = (const void *)((const char *)rule + head);
  for (; RTA_OK(a, size); a = RTA_NEXT(a, size)) {
    const char *data = RTA_DATA(a);
    size_t length = RTA_PAYLOAD(a);
    if (a->rta_type == NFTA_RULE_HANDLE && length == sizeof handle) memcpy(&handle, data, sizeof handle);
    if (a->rta_type == NFTA_RULE_USERDATA && length == strlen(mark) + 3)
      marked = data[0] == COMMENT && memcmp(data + 2, mark, length - 2) == 0;
  }
  return marked ? handle : 0;
}

#define MAX_MARKED 8

/* Rules of the chain that bear the mark. */
static size_t find_marked(int fd, const struct place *in, const char *mark, uint64_t *handles) {
  static char answer[1 << 15];
  struct request r = begin_nft(NFT_MSG_GETRULE, NLM_F_DUMP);
  size_t count = 0;
  text_attribute(&r, NFTA_RULE_TABLE, in->table);
  text_attribute(&r, NFTA_RULE_CHAIN, in->chain);
  if (send(fd, &r, r.header.nlmsg_len, 0) < 0) return 0;
  for (;;) {
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    if (n <= 0) return count;
    for (const struct nlmsghdr *h = (const void *)answer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
      if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) return count;
      uint64_t handle = marked_handle(h, mark);
      if (handle && count < MAX_MARKED) handles[count++] = handle;
    }
  }
}

static void remove_marked(int fd, const struct place *in, const char *mark) {
  uint64_t handles[MAX_MARKED];
  size_t count = find_marked(fd, in, mark, handles);
  for (size_t i = 0; i < count; i++) {
    struct request r = begin_nft(NFT_MSG_DELRULE, 0);
    text_attribute(&r, NFTA_RULE_TABLE, in->table);
    text_attribute(&r, NFTA_RULE_CHAIN, in->chain);
    attribute(&r, NFTA_RULE_HANDLE, &handles[i], sizeof handles[i]);
    const struct request batch[] = {batch_edge(NFNL_MSG_BATCH_BEGIN), r, batch_edge(NFNL_MSG_BATCH_END)};
    send_batch(fd, batch, sizeof batch / sizeof *batch); /* what fails was removed by somebody else */
  }
}

/*
 * Starts a process that removes the marked rules when the keeper is gone, however it went: no socket owns them. It has the keeper's sockets too,
 * so until then our table is there, whose name nobody else can take, and node does not see the keeper's end.
 */
static void remove_marked_afterwards(int fd, const struct place *in, const char *mark) {
  int alive[2];
  char byte;
  if (pipe2(alive, O_CLOEXEC) < 0) fail("pipe", "", errno);
  pid_t pid = fork();
  if (pid < 0) fail("fork", "", errno);
  if (pid > 0) {
    close(alive[0]);
    return; /* the other end stays open as long as we live */
  }
  close(alive[1]);
  while (read(alive[0], &byte, 1) < 0 && errno == EINTR) {
  }
  remove_marked(fd, in, mark);
  _exit(0);
}

/* ---- rules of our own ---- */

static struct request translating(const char *table, const struct in_addr *source) {
  struct request r = new_rule(table, "out");
  size_t at = nest(&r, NFTA_RULE_EXPRESSIONS);
  load_source_address(&r);
  compare(&r, NFT_CMP_EQ, source, sizeof *source);
  end_expression(&r, begin_expression(&r, "masq"));
  end_nest(&r, at);
  return r;
}

static struct request dropping_forged(const char *table, const char *interface, const struct in_addr *source) {
  struct request r = new_rule(table, "through");
  size_t at = nest(&r, NFTA_RULE_EXPRESSIONS);
  match_interface(&r, NFT_META_IIFNAME, NFT_CMP_EQ, interface);
  load_source_address(&r);
  compare(&r, NFT_CMP_NEQ, source, sizeof *source);
  decide(&r, NF_DROP);
  end_nest(&r, at);
  return r;
}

static struct request dropping_unasked(const char *table, const char *interface) {
  struct request r = new_rule(table, "through");
  size_t at = nest(&r, NFTA_RULE_EXPRESSIONS);
  match_interface(&r, NFT_META_OIFNAME, NFT_CMP_EQ, interface);
  match_without(&r, NFT_CT_STATE, NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
  decide(&r, NF_DROP);
  end_nest(&r, at);
  return r;
}

/* What the policy would drop and shall: what leads to containers and virtual machines, but for ports of theirs that the host hands on. */
static struct request dropping_to_bridges(const char *table, const char *interface, const char *uplink) {
  struct request r = new_rule(table, "through");
  size_t at = nest(&r, NFTA_RULE_EXPRESSIONS);
  match_interface(&r, NFT_META_IIFNAME, NFT_CMP_EQ, interface);
  match_interface(&r, NFT_META_OIFKIND, NFT_CMP_EQ, "bridge");
  match_interface(&r, NFT_META_OIFNAME, NFT_CMP_NEQ, uplink);
  match_without(&r, NFT_CT_STATUS, IPS_DST_NAT);
  decide(&r, NF_DROP);
  end_nest(&r, at);
  return r;
}

/*
 * network-nat TABLE INTERFACE ADDRESS [TABLE CHAIN UPLINK]: of the keeper, while it is in the host's network. What comes from INTERFACE goes out
 * under the host's address, and comes under ADDRESS or not at all; in goes only what answers it, so that neither neighbours nor other steps get at
 * a step. The policy of the second TABLE's CHAIN is overruled, but for other bridges than UPLINK.
 */
void masquerade(const struct command *c) {
  const char *table = arg(c, 1), *interface = arg(c, 2);
  struct in_addr ip;
  if (inet_pton(AF_INET, arg(c, 3), &ip) != 1) fail(arg(c, 3), "no address", EINVAL);
  struct request batch[11] = {batch_edge(NFNL_MSG_BATCH_BEGIN), new_table(table), new_chain(table, "out", NF_INET_POST_ROUTING, 100),
                              new_chain(table, "through", NF_INET_FORWARD, 0), translating(table, &ip), dropping_forged(table, interface, &ip),
                              dropping_unasked(table, interface)};
  size_t count = 7;
  int fd = open_netlink(NETLINK_NETFILTER), error;
  if (c->argc > 4) {
    const struct place place = {arg(c, 4), arg(c, 5)};
    batch[count++] = dropping_to_bridges(table, interface, arg(c, 6));
    batch[count++] = accepting(&place, table, NFT_META_IIFNAME, interface);
    batch[count++] = accepting(&place, table, NFT_META_OIFNAME, interface);
    remove_marked_afterwards(fd, &place, table);
  }
  batch[count++] = batch_edge(NFNL_MSG_BATCH_END);
  for (int waited = 0; waited < GONE_MS; waited++) {
    error = send_batch(fd, batch, count);
    if (error != EEXIST) break;
    usleep(1000);
  }
  if (error) fail(table, "nftables", error);
  /* The socket stays open as long as we live. */
}
