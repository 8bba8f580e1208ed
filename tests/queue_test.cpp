// Queues whose links are in what is queued.
#include "child/queue.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

namespace {

struct first_tag {};
struct second_tag {};
struct item : uvreap::hook<first_tag>, uvreap::hook<second_tag> {
  explicit item(int n) : number(n) {}
  [[nodiscard]] bool is_in_first() const { return uvreap::hook<first_tag>::is_linked(); }
  void leave_first() { uvreap::hook<first_tag>::unlink(); }
  int number;
};
using first_queue = uvreap::queue<item, first_tag>;
using second_queue = uvreap::queue<item, second_tag>;

template <class Tag>
std::vector<int> drained(uvreap::queue<item, Tag>& queue) {
  std::vector<int> numbers;
  while (item* next = queue.pop_front()) numbers.push_back(next->number);
  return numbers;
}

using numbers = std::vector<int>;

}  // namespace

TEST_CASE("what comes first goes first") {
  item one(1), two(2), three(3);
  first_queue queue;
  CHECK(queue.empty());
  for (item* each : {&one, &two, &three}) queue.push_back(*each);
  CHECK_FALSE(queue.empty());
  CHECK(&queue.front() == &one);
  CHECK(drained(queue) == numbers{1, 2, 3});
  CHECK(queue.empty());
}

TEST_CASE("what is popped is in no queue") {
  item one(1);
  first_queue queue;
  queue.push_back(one);
  CHECK(one.is_in_first());
  CHECK(queue.pop_front() == &one);
  CHECK_FALSE(one.is_in_first());
  CHECK(queue.pop_front() == nullptr);
}

TEST_CASE("what is in a queue stays where it is, whichever of its kind it is put in") {
  item one(1), two(2);
  first_queue queue;
  first_queue other;
  CHECK(queue.push_back(one));
  CHECK(queue.push_back(two));
  CHECK_FALSE(queue.push_back(one));
  CHECK_FALSE(other.push_back(two));
  CHECK(drained(queue) == numbers{1, 2});
  CHECK(other.empty());
}

TEST_CASE("an item is in one queue for each of its hooks") {
  item one(1), two(2);
  first_queue first;
  second_queue second;
  for (item* each : {&one, &two}) first.push_back(*each), second.push_back(*each);
  one.leave_first();
  CHECK(drained(first) == numbers{2});
  CHECK(drained(second) == numbers{1, 2});
}

TEST_CASE("unlinking what is in no queue is nothing") {
  item one(1);
  one.leave_first();
  CHECK_FALSE(one.is_in_first());
}

TEST_CASE("what is destroyed takes itself out, first, last, in the middle and alone") {
  for (std::size_t gone : {0u, 1u, 2u}) {
    std::vector<std::unique_ptr<item>> items;
    first_queue queue;
    for (int i = 0; i < 3; ++i) queue.push_back(*items.emplace_back(std::make_unique<item>(i)));
    items[gone].reset();
    numbers rest = gone == 0 ? numbers{1, 2} : gone == 1 ? numbers{0, 2} : numbers{0, 1};
    CHECK(drained(queue) == rest);
  }
  first_queue queue;
  queue.push_back(*std::make_unique<item>(1));
  CHECK(queue.empty());
}

TEST_CASE("a queue is moved behind what another has, and leaves nothing") {
  item one(1), two(2), three(3), four(4);
  first_queue from;
  first_queue to;
  for (item* each : {&three, &four}) from.push_back(*each);
  for (item* each : {&one, &two}) to.push_back(*each);
  from.move_to_end_of(to);
  CHECK(from.empty());
  from.move_to_end_of(to);  // nothing, to anything, is nothing
  CHECK(drained(to) == numbers{1, 2, 3, 4});
  for (item* each : {&four, &one}) from.push_back(*each);
  from.move_to_end_of(to);
  CHECK(drained(to) == numbers{4, 1});
  CHECK(drained(from).empty());
}

TEST_CASE("while a queue is worked off, what is popped may take others out and put some in") {
  item one(1), two(2), three(3), four(4);
  first_queue queue;
  for (item* each : {&one, &two, &three}) queue.push_back(*each);
  CHECK(queue.pop_front()->number == 1);
  two.leave_first();
  queue.push_back(four);
  queue.push_back(one);
  CHECK(drained(queue) == numbers{3, 4, 1});
}
