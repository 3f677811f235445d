#include "tests/harness/harness.h"

#include "actors/net/placement.h"

#include <string.h>

enum { PLACES = 4 };

typedef struct {
  trp_place_t places[PLACES];
  trp_place_t *list[PLACES];
  size_t cursor;
} table_t;

static void lay(table_t *table) {
  *table = (table_t){0};
  for (size_t i = 0; i < PLACES; i++) {
    table->places[i] = (trp_place_t){.id = 100 + i, .credit = 1000};
    table->list[i] = &table->places[i];
  }
}

static size_t deal(table_t *table, trp_placement_policy_t policy, uint64_t hash) {
  assert_int_equal(trp_placement_verdict(table->list, PLACES), TRP_PLACE_DEAL);
  size_t index = trp_placement_pick(policy, table->list, PLACES, &table->cursor, hash);
  table->places[index].connections++;
  table->places[index].credit--;
  return index;
}

static void round_robin_goes_round(void **state) {
  table_t table;
  (void)state;
  lay(&table);
  for (size_t i = 0; i < 12; i++) {
    assert_int_equal(deal(&table, TRP_PLACE_ROUND_ROBIN, 0), i % PLACES);
  }
}

static void who_is_full_out_of_credit_or_on_standby_is_passed_over(void **state) {
  table_t table;
  (void)state;
  lay(&table);
  table.places[0].credit = 0;
  table.places[1].max_connections = 1;
  table.places[1].connections = 1;
  table.places[2].standby = true;
  assert_int_equal(deal(&table, TRP_PLACE_ROUND_ROBIN, 0), 3);
  assert_int_equal(deal(&table, TRP_PLACE_ROUND_ROBIN, 0), 3);
  assert_int_equal(deal(&table, TRP_PLACE_LEAST_CONNECTIONS, 0), 3);
  assert_int_equal(deal(&table, TRP_PLACE_HASH, 7), 3);
  table.places[1].connections = 0;
  assert_int_equal(deal(&table, TRP_PLACE_ROUND_ROBIN, 0), 1);
}

static void the_backlog_waits_when_credit_alone_is_missing(void **state) {
  table_t table;
  (void)state;
  lay(&table);
  for (size_t i = 0; i < PLACES; i++) {
    table.places[i].credit = 0;
  }
  assert_int_equal(trp_placement_verdict(table.list, PLACES), TRP_PLACE_WAIT);
  for (size_t i = 1; i < PLACES; i++) {
    table.places[i].max_connections = -1;
  }
  assert_int_equal(trp_placement_verdict(table.list, PLACES), TRP_PLACE_WAIT);
  assert_int_equal(trp_placement_verdict(table.list, 0), TRP_PLACE_WAIT);
}

static void connections_are_dropped_only_when_everybody_is_full(void **state) {
  table_t table;
  (void)state;
  lay(&table);
  for (size_t i = 0; i < PLACES; i++) {
    table.places[i].max_connections = i == 3 ? 9 : 1;
  }
  table.places[2].standby = true;
  for (int i = 0; i < 11; i++) {
    deal(&table, TRP_PLACE_ROUND_ROBIN, 0);
  }
  assert_int_equal(table.places[2].connections, 0);
  assert_int_equal(table.places[3].connections, 9);
  assert_int_equal(trp_placement_verdict(table.list, PLACES), TRP_PLACE_DROP);
  // Those who are told take turns, too.
  size_t first = trp_placement_pick(TRP_PLACE_ROUND_ROBIN, table.list, PLACES, &table.cursor, 0);
  size_t second = trp_placement_pick(TRP_PLACE_ROUND_ROBIN, table.list, PLACES, &table.cursor, 0);
  assert_int_not_equal(first, second);
  assert_int_not_equal(first, 2);
  assert_int_not_equal(second, 2);
}

static void least_connections_levels_what_was_uneven(void **state) {
  table_t table;
  (void)state;
  lay(&table);
  table.places[0].connections = 10;
  table.places[1].connections = 3;
  for (int i = 0; i < 27; i++) {
    deal(&table, TRP_PLACE_LEAST_CONNECTIONS, 0);
  }
  for (size_t i = 0; i < PLACES; i++) {
    assert_int_equal(table.places[i].connections, 10);
  }
}

static void a_peer_stays_where_it_was_when_another_place_goes(void **state) {
  table_t table;
  size_t before[1000];
  size_t moved = 0;
  (void)state;
  lay(&table);
  for (uint64_t peer = 0; peer < 1000; peer++) {
    before[peer] = deal(&table, TRP_PLACE_HASH, peer * 7919);
    assert_int_equal(deal(&table, TRP_PLACE_HASH, peer * 7919), before[peer]);
    table.places[before[peer]].credit = 1000;
  }
  for (size_t i = 0; i < PLACES; i++) {
    assert_in_range(table.places[i].connections, 2 * 200, 2 * 300);
  }
  table.places[1].standby = true;
  for (uint64_t peer = 0; peer < 1000; peer++) {
    size_t now = deal(&table, TRP_PLACE_HASH, peer * 7919);
    table.places[now].credit = 1000;
    if (before[peer] == 1) {
      moved++;
    } else {
      assert_int_equal(now, before[peer]);
    }
  }
  assert_true(moved > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(round_robin_goes_round),
      trp_test(who_is_full_out_of_credit_or_on_standby_is_passed_over),
      trp_test(the_backlog_waits_when_credit_alone_is_missing),
      trp_test(connections_are_dropped_only_when_everybody_is_full),
      trp_test(least_connections_levels_what_was_uneven),
      trp_test(a_peer_stays_where_it_was_when_another_place_goes),
  };
  return TRP_RUN_TESTS("placement", tests);
}
