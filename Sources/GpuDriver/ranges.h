// Named ranges for AMD's profilers (ROCTX), around the calls that hand launches to the driver: they carry the shapes,
// which the names of code objects' functions do not. Off unless a profiler asks.
#pragma once

#include <string>

namespace tw::gpu {

class Ranges {
 public:
  /// Null unless a tool has loaded ROCTX into this process (rocprofv3 --marker-trace does), or TILEWRIGHT_ROCTX says
  /// to: 1 for the library of the system, else the path of one. Null, too, where there is none to load.
  static const Ranges* active();

  /// One range, as long as this lives. Nothing where `ranges` is null.
  class Scope {
   public:
    Scope(const Ranges* ranges, const char* name) : ranges_(ranges) {
      if (ranges_ != nullptr) ranges_->push_(name);
    }
    ~Scope() {
      if (ranges_ != nullptr) ranges_->pop_();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    const Ranges* const ranges_;
  };

 private:
  bool bind(void* library);

  int (*push_)(const char*) = nullptr;
  int (*pop_)() = nullptr;
};

}  // namespace tw::gpu
