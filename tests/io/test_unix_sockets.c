// The libuv transport on paths and abstract names.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/io/handles.h"

static void a_path_is_bound_connected_to_and_removed_on_close(void **state) {
  (void)state;
  static const size_t lengths[] = {0, TROUPE_PATH_MAX - 1, TROUPE_PATH_MAX};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    world_t world;
    seen_t listener;
    seen_t socket;
    const char *syscall = NULL;
    open_world(&world);
    troupe_address_t path = lengths[i] == 0 ? in_folder("s") : path_of_length(lengths[i]);
    assert_int_equal(0, listen_at(&world, path, &listener));
    assert_true(exists(&path));
    troupe_address_t local = local_of(&world, &listener);
    assert_int_equal(TROUPE_FAMILY_UNIX, local.family);
    assert_int_equal(path.path_length, local.path_length);
    assert_string_equal(path.path, local.path);
    assert_int_equal(0, begin(&world, path, NULL, &socket, &syscall));
    assert_false(world.ops->is_tcp(world.transport, socket.handle));
    assert_true(run_until(&world, &socket.count, 1));
    assert_int_equal(0, world.ops->connected(world.transport, socket.handle));
    troupe_address_t remote;
    world.ops->names(world.transport, socket.handle, &local, &remote);
    assert_int_equal(TROUPE_FAMILY_NONE, local.family);
    assert_int_equal(TROUPE_FAMILY_UNIX, remote.family);
    assert_string_equal(path.path, remote.path);
    trp_handle_t *accepted = NULL;
    assert_int_equal(0, world.ops->accept(world.transport, listener.handle, &accepted, &remote));
    assert_int_equal(TROUPE_FAMILY_NONE, remote.family);
    close_it(&listener);
    assert_false(exists(&path));
    close_world(&world);
  }
}

static void a_file_that_is_there_is_not_touched(void **state) {
  (void)state;
  world_t world;
  seen_t listener;
  open_world(&world);
  troupe_address_t path = in_folder("taken");
  int fd = open(path.path, O_CREAT | O_WRONLY, 0600);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(TROUPE_EADDRINUSE, listen_at(&world, path, &listener));
  assert_true(exists(&path));
  troupe_address_t nowhere = in_folder("no/where");
  assert_int_equal(TROUPE_ENOENT, listen_at(&world, nowhere, &listener));
  close_world(&world);
}

static void a_path_that_others_took_over_is_not_removed(void **state) {
  (void)state;
  world_t world;
  seen_t listener;
  open_world(&world);
  troupe_address_t path = in_folder("mine");
  assert_int_equal(0, listen_at(&world, path, &listener));
  // Our file lives on under another name, so that the new one cannot get the same inode.
  troupe_address_t moved = in_folder("moved");
  assert_int_equal(0, rename(path.path, moved.path));
  int other = trp_test_listen_unix(path.path, path.path_length);
  assert_true(other >= 0);
  close_it(&listener);
  assert_true(exists(&path));
  trp_test_close(other);
  // And one that is gone already is no error.
  troupe_address_t gone = in_folder("gone");
  assert_int_equal(0, listen_at(&world, gone, &listener));
  assert_int_equal(0, unlink(gone.path));
  close_it(&listener);
  close_world(&world);
}

static void mode_bits_of_a_path_open_it_to_all(void **state) {
  (void)state;
  static const struct {
    bool readable, writable;
    mode_t mode;
  } cases[] = {{false, false, 0700}, {true, false, 0744}, {false, true, 0722}, {true, true, 0766}};
  mode_t before = umask(077);
  world_t world;
  open_world(&world);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    trp_listen_spec_t spec = {.address = in_folder("mode"),
                              .readable_all = cases[i].readable,
                              .writable_all = cases[i].writable};
    const char *syscall = NULL;
    trp_handle_t *handle = NULL;
    struct stat status;
    assert_int_equal(0, world.ops->listen(world.transport, &spec, &handle, &syscall));
    assert_int_equal(0, stat(spec.address.path, &status));
    assert_int_equal(cases[i].mode, status.st_mode & 0777);
    world.ops->close(world.transport, handle);
  }
  umask(before);
  close_world(&world);
}

static void an_abstract_name_is_exact(void **state) {
  (void)state;
  world_t world;
  seen_t listener;
  seen_t socket;
  char name[64] = "";
  const char *syscall = NULL;
  int length = 1 + snprintf(name + 1, sizeof name - 1, "troupe-test-%ld", (long)getpid());
  open_world(&world);
  troupe_address_t address = unix_name(name, (size_t)length);
  assert_int_equal(0, listen_at(&world, address, &listener));
  troupe_address_t local = local_of(&world, &listener);
  assert_int_equal(length, local.path_length);
  assert_memory_equal(name, local.path, (size_t)length);
  int peer = trp_test_connect_unix(name, (size_t)length, LIMIT_MS);
  assert_true(peer >= 0);
  assert_int_equal(-ECONNREFUSED, trp_test_connect_unix(name, (size_t)length + 1, LIMIT_MS));
  seen_t second;
  assert_int_equal(TROUPE_EADDRINUSE, listen_at(&world, address, &second));
  assert_int_equal(0, begin(&world, address, NULL, &socket, &syscall));
  assert_true(run_until(&world, &socket.count, 1));
  assert_int_equal(0, world.ops->connected(world.transport, socket.handle));
  trp_test_close(peer);
  close_world(&world);
}

static void connecting_to_a_path_without_a_listener_fails_at_once(void **state) {
  (void)state;
  world_t world;
  seen_t socket;
  const char *syscall = NULL;
  open_world(&world);
  assert_int_equal(TROUPE_ENOENT, begin(&world, in_folder("none"), NULL, &socket, &syscall));
  assert_string_equal("connect", syscall);
  troupe_address_t file = in_folder("file");
  close(open(file.path, O_CREAT | O_WRONLY, 0600));
  assert_int_equal(TROUPE_ECONNREFUSED, begin(&world, file, NULL, &socket, &syscall));
  close_world(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(a_path_is_bound_connected_to_and_removed_on_close),
      trp_test_that_leaves_nothing(a_file_that_is_there_is_not_touched),
      trp_test_that_leaves_nothing(a_path_that_others_took_over_is_not_removed),
      trp_test_that_leaves_nothing(mode_bits_of_a_path_open_it_to_all),
      trp_test_that_leaves_nothing(an_abstract_name_is_exact),
      trp_test_that_leaves_nothing(connecting_to_a_path_without_a_listener_fails_at_once),
  };
  return TRP_RUN_TESTS_IN_GROUP("io/unix_sockets", tests, warm_up, NULL);
}
