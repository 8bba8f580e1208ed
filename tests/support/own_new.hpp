// The program's operator new and delete, by test::allocate() and test::deallocate(), which the test file that
// includes this defines.
#pragma once

#include <cstddef>
#include <new>

namespace test {
void* allocate(std::size_t);  // throws std::bad_alloc
void deallocate(void*) noexcept;
}  // namespace test

void* operator new(std::size_t size) { return test::allocate(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept try {
  return test::allocate(size);
} catch (const std::bad_alloc&) {
  return nullptr;
}
void operator delete(void* memory) noexcept { test::deallocate(memory); }
void operator delete(void* memory, std::size_t) noexcept { test::deallocate(memory); }
