#include "storage.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

namespace tw {
namespace {

size_t physical_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(page) : SIZE_MAX;
}

class HeapStorage : public Storage {
 public:
  explicit HeapStorage(size_t bytes) {
    bytes_ = bytes;
    if (bytes == 0) return;
    // Linux promises more memory than there is and kills the process on first use; refuse what can never fit.
    if (bytes > physical_memory()) throw std::bad_alloc();
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    // Weights are streamed: 2 MiB pages save a TLB miss every 4 KiB.
    if (bytes >= (size_t{4} << 20)) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    data_ = memory;
  }
  ~HeapStorage() override {
    if (data_ != nullptr) munmap(data_, bytes_);
  }
};

}  // namespace

bool Storage::copy_out(size_t offset, void* target, size_t count) const {
  if (count > 0) std::memcpy(target, static_cast<const char*>(data_) + offset, count);
  return true;
}

std::shared_ptr<Storage> allocate_storage(size_t bytes) {
  return std::make_shared<HeapStorage>(bytes);
}

class MappedRange : public Storage {
 public:
  MappedRange(std::shared_ptr<Mapping> mapping, size_t offset, size_t length)
      : mapping_(std::move(mapping)), offset_(offset) {
    data_ = length == 0 ? nullptr : mapping_->data_ + offset;
    bytes_ = length;
  }
  bool intact() const override { return mapping_->intact(); }
  bool writable() const override { return false; }
  bool copy_out(size_t offset, void* target, size_t count) const override {
    char* to = static_cast<char*>(target);
    for (size_t done = 0; done < count;) {
      const ssize_t got = pread(mapping_->file_, to + done, count - done, static_cast<off_t>(offset_ + offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      done += static_cast<size_t>(got);
    }
    return true;
  }

 private:
  std::shared_ptr<Mapping> mapping_;
  size_t offset_;
};

std::shared_ptr<Mapping> Mapping::open(const std::string& path) {
  std::shared_ptr<Mapping> mapping(new Mapping());
  const auto fail = [] { throw std::system_error(errno, std::generic_category()); };
  mapping->file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (mapping->file_ < 0) fail();
  struct stat info {};
  if (fstat(mapping->file_, &info) != 0) fail();
  if (!S_ISREG(info.st_mode)) throw std::system_error(EINVAL, std::generic_category(), "not a regular file");
  mapping->bytes_ = static_cast<size_t>(info.st_size);
  if (mapping->bytes_ > 0) {
    void* data = mmap(nullptr, mapping->bytes_, PROT_READ, MAP_SHARED, mapping->file_, 0);
    if (data == MAP_FAILED) fail();
    mapping->data_ = static_cast<char*>(data);
  }
  return mapping;
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, bytes_);
  if (file_ >= 0) close(file_);
}

bool Mapping::intact() const {
  struct stat info {};
  return fstat(file_, &info) == 0 && static_cast<size_t>(info.st_size) >= bytes_;
}

std::shared_ptr<Storage> Mapping::range(size_t offset, size_t length) {
  return std::make_shared<MappedRange>(shared_from_this(), offset, length);
}

}  // namespace tw
