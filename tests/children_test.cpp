// The table of child records.
#include "child/children.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

using uvreap::child;
using uvreap::children;
using uvreap::look_queue;

namespace {

std::unique_ptr<child> made(
    pid_t pid, uvreap::callback tell = [](const auto&) {}) {
  auto one = std::make_unique<child>(uvreap::watch_options{}, std::move(tell));
  one->id = uvreap::identity(pid);
  return one;
}

}  // namespace

TEST_CASE("a child is found by its number, and not after it was removed") {
  children table;
  CHECK(table.find(7) == nullptr);
  child& one = table.add(made(7));
  CHECK(table.find(7) == &one);
  CHECK(table.size() == 1);
  std::unique_ptr<child> back = table.remove(one);
  CHECK(back.get() == &one);
  CHECK(table.find(7) == nullptr);
  CHECK(table.size() == 0);
}

TEST_CASE("of several with one number the oldest is found first, and each by its serial") {
  children table;
  child& first = table.add(made(7));
  child& second = table.add(made(7));
  child& neighbour = table.add(made(7 + 64));  // of the same bucket
  CHECK(first.serial != second.serial);
  CHECK(table.find(7) == &first);
  CHECK(table.find(7, second.serial) == &second);
  CHECK(table.find(7, neighbour.serial) == nullptr);
  CHECK(table.find(7 + 64) == &neighbour);
  std::unique_ptr<child> removed = table.remove(first);
  CHECK(table.find(7) == &second);
  CHECK(table.find(7, removed->serial) == nullptr);
}

TEST_CASE("a reserved child is one without a callback, detached and unclaimed ones are none") {
  children table;
  table.add(made(7));
  table.add(made(7, {})).detached = true;
  table.add(made(7, {})).unclaimed = true;
  CHECK(table.find_reserved(7) == nullptr);
  child& reserved = table.add(made(7, {}));
  CHECK(table.find_reserved(7) == &reserved);
  CHECK(table.find_reserved(8) == nullptr);
}

TEST_CASE("ten thousand children are found, with room made for them or without") {
  for (bool makes_room : {false, true}) {
    children table;
    for (pid_t pid = 1; pid <= 10'000; ++pid) {
      if (makes_room) table.make_room();
      table.add(made(pid));
    }
    CHECK(table.size() == 10'000);
    for (pid_t pid = 1; pid <= 10'000; ++pid) {
      REQUIRE(table.find(pid) != nullptr);
      REQUIRE(table.find(pid)->pid() == pid);
    }
    std::set<pid_t> visited;
    table.each([&](child& one) { visited.insert(one.pid()); });
    CHECK(visited.size() == 10'000);
  }
}

TEST_CASE("making room keeps the order of those with one number") {
  children table;
  std::vector<child*> same;
  for (int i = 0; i < 3; ++i) same.push_back(&table.add(made(7)));
  for (pid_t pid = 100; pid < 1'000; ++pid) {
    table.make_room();
    table.add(made(pid));
  }
  for (child* one : same) {
    CHECK(table.find(7) == one);
    (void)table.remove(*one);
  }
}

TEST_CASE("a table is emptied one by one, though some come while it is") {
  children table;
  for (pid_t pid = 1; pid <= 200; ++pid) table.add(made(pid));
  std::size_t removed = 0;
  while (auto one = table.remove_any()) {
    ++removed;
    if (one->pid() == 100) {
      table.add(made(99));  // before and behind where it is
      table.add(made(163));
    }
  }
  CHECK(removed == 202);
  CHECK(table.size() == 0);
  CHECK(table.remove_any() == nullptr);
}

TEST_CASE("a table that is destroyed destroys its children, and they leave their queues") {
  auto captured = std::make_shared<int>(0);
  look_queue queue;
  {
    children table;
    for (pid_t pid : {7, 7, 8}) queue.push_back(table.add(made(pid, [captured](const auto&) {})));
    CHECK(captured.use_count() == 4);
  }
  CHECK(captured.use_count() == 1);
  CHECK(queue.empty());
}
