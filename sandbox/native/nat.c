/* Rules of the host's firewall for one step's address: nftables by its netlink protocol. */
#include "netlink.h"
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#define GONE_MS 2000
#define SOURCE_ADDRESS 12 /* offset in an IPv4 header */

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

static void match_interface(struct request *r, enum nft_meta_keys key, const char *name) {
  char padded[IFNAMSIZ] = "";
  struct expression e = begin_expression(r, "meta");
  number(r, NFTA_META_DREG, NFT_REG_1);
  number(r, NFTA_META_KEY, key);
  end_expression(r, e);
  snprintf(padded, sizeof padded, "%s", name);
  compare(r, NFT_CMP_EQ, padded, sizeof padded);
}

static void match_unasked(struct request *r) {
  uint32_t mask = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED), none = 0;
  struct expression e = begin_expression(r, "ct");
  number(r, NFTA_CT_DREG, NFT_REG_1);
  number(r, NFTA_CT_KEY, NFT_CT_STATE);
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

static void drop(struct request *r) {
  struct expression e = begin_expression(r, "immediate");
  number(r, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  size_t data = nest(r, NFTA_IMMEDIATE_DATA), verdict = nest(r, NFTA_DATA_VERDICT);
  number(r, NFTA_VERDICT_CODE, NF_DROP);
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

/*
 * network-nat TABLE INTERFACE ADDRESS: of the keeper, while it is in the host's network. What comes from INTERFACE goes out under the host's
 * address, and comes under ADDRESS or not at all; in goes only what answers it, so that neither neighbours nor other steps get at a step.
 */
void masquerade(const struct command *c) {
  const char *table = arg(c, 1), *interface = arg(c, 2);
  struct in_addr ip;
  if (inet_pton(AF_INET, arg(c, 3), &ip) != 1) fail(arg(c, 3), "no address", EINVAL);
  struct request nat = new_rule(table, "out"), forged = new_rule(table, "through"), unasked = new_rule(table, "through");
  size_t at = nest(&nat, NFTA_RULE_EXPRESSIONS);
  load_source_address(&nat);
  compare(&nat, NFT_CMP_EQ, &ip, sizeof ip);
  end_expression(&nat, begin_expression(&nat, "masq"));
  end_nest(&nat, at);
  at = nest(&forged, NFTA_RULE_EXPRESSIONS);
  match_interface(&forged, NFT_META_IIFNAME, interface);
  load_source_address(&forged);
  compare(&forged, NFT_CMP_NEQ, &ip, sizeof ip);
  drop(&forged);
  end_nest(&forged, at);
  at = nest(&unasked, NFTA_RULE_EXPRESSIONS);
  match_interface(&unasked, NFT_META_OIFNAME, interface);
  match_unasked(&unasked);
  drop(&unasked);
  end_nest(&unasked, at);
  const struct request batch[] = {batch_edge(NFNL_MSG_BATCH_BEGIN), new_table(table), new_chain(table, "out", NF_INET_POST_ROUTING, 100),
                                  new_chain(table, "through", NF_INET_FORWARD, 0), nat, forged, unasked, batch_edge(NFNL_MSG_BATCH_END)};
  int fd = open_netlink(NETLINK_NETFILTER), error;
  for (int waited = 0; waited < GONE_MS; waited++) {
    error = send_batch(fd, batch, sizeof batch / sizeof *batch);
    if (error != EEXIST) break;
    usleep(1000);
  }
  if (error) fail(table, "nftables", error);
  /* The socket stays open as long as we live. */
}
