// Memory that launches read and write: heap blocks, and ranges of read-only mapped files. Shared ownership: a
// submission keeps its storage alive, so disposing a buffer never pulls memory from under a running kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace tw {

class Storage {
 public:
  virtual ~Storage() = default;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  /// False when the memory can no longer be read safely: a mapped file that has been cut short.
  virtual bool intact() const { return true; }
  virtual bool writable() const { return true; }
  /// Copies `count` bytes from `offset` on; false where a mapped file has become shorter, which memory that is touched
  /// would answer with a signal. Reading a file waits for the disk: not on the JavaScript thread.
  virtual bool copy_out(size_t offset, void* target, size_t count) const;

 protected:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

/// Zero-filled memory, 64-byte aligned. Throws std::bad_alloc, also when the machine does not have that much memory.
std::shared_ptr<Storage> allocate_storage(size_t bytes);

/// A file mapped read-only; ranges of it are storage.
class Mapping : public std::enable_shared_from_this<Mapping> {
 public:
  /// Throws std::system_error.
  static std::shared_ptr<Mapping> open(const std::string& path);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  size_t bytes() const { return bytes_; }
  bool intact() const;
  /// Caller checks the range.
  std::shared_ptr<Storage> range(size_t offset, size_t length);

 private:
  Mapping() = default;
  friend class MappedRange;
  int file_ = -1;
  char* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace tw
