// The C interface: modules, constants, dispatches.
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sstream>

#include "../include/simt.h"
#include "faults.h"
#include "machine.h"

using simt::g_machine;
using simt::json_string;

struct simt_module {
  void* handle = nullptr;
  uint64_t base = 0, end = 0;
  uint32_t wave = 32, limit = simt::kThreadgroupLimit;
  bool hooks = false;
  struct Kernel {
    std::string name;
    void (*run)();
  };
  std::vector<Kernel> kernels;
  struct Constant {
    void* value;
    uint8_t* defined;
    uint32_t bytes;
  };
  std::map<uint32_t, Constant> constants;
};

namespace {

/// Outputs start as this: NaN as half, bfloat and float, and not the NaN that threadgroup memory is poisoned with.
constexpr uint8_t kFill[2] = {0xFB, 0xFF};

std::string parse(simt_module& m, const char* info) {
  std::istringstream lines(info);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "wave") {
      words >> m.wave;
    } else if (what == "limit") {
      words >> m.limit;
    } else if (what == "constant") {
      uint32_t id = 0, bytes = 0;
      words >> id >> bytes;
      const std::string n = std::to_string(id);
      void* value = dlsym(m.handle, ("msl_fc_" + n).c_str());
      void* defined = dlsym(m.handle, ("msl_fcd_" + n).c_str());
      // The optimiser removes a constant that nothing reads.
      m.constants[id] = {value, static_cast<uint8_t*>(defined), bytes};
    } else if (what == "kernel") {
      std::string symbol, name;
      words >> symbol;
      std::getline(words >> std::ws, name);
      void* f = dlsym(m.handle, symbol.c_str());
      if (f == nullptr) return "the module lacks " + symbol;
      m.kernels.push_back({name, reinterpret_cast<void (*)()>(f)});
    }
  }
  return "";
}

/// Bindings that the executor has memory of its own for.
bool has_slot(const simt_binding& b) {
  return b.same_as < 0 && (b.flags & (SIMT_BUFFER_NULL | SIMT_BUFFER_IN_PLACE)) == 0;
}

/// What is wrong with a dispatch, before anything runs: the same checks that a Metal driver makes.
std::string validate(const simt_module& module, const simt_dispatch& d) {
  const auto known = [&](const simt_module::Kernel& k) { return k.name == d.kernel; };
  if (std::none_of(module.kernels.begin(), module.kernels.end(), known)) return "there is no such kernel";
  uint64_t threads = 1;
  for (int i = 0; i < 3; i++) {
    if (d.grid[i] == 0) return "the grid is empty";
    if (d.group[i] == 0) return "a threadgroup has no threads";
    threads *= d.group[i];
    if (threads > simt::kMaxThreads) return "a threadgroup has more than 1024 threads";
  }
  if (d.max_threads != 0 && threads > d.max_threads) {
    return "a threadgroup has more threads than the kernel's max_total_threads_per_threadgroup";
  }
  uint64_t total = threads;
  for (int i = 0; i < 3; i++) {
    total *= (d.flags & SIMT_GRID_IN_THREADS) ? (d.grid[i] + d.group[i] - 1) / d.group[i] : d.grid[i];
    if (total > (1ull << 30)) return "the grid has more than 2^30 threads: too much for the test bed";
  }
  for (uint32_t i = 0; i < d.binding_count; i++) {
    const simt_binding& b = d.bindings[i];
    if (b.index >= simt::kMaxBuffers) return "buffer indices go from 0 to 30";
    if (b.size > simt::kMaxBufferBytes) return "a buffer is larger than 2 GB";
    if (b.offset > b.size && b.same_as < 0) return "buffer " + std::to_string(b.index) + " is bound behind its end";
    if (b.offset > simt::kMaxBufferBytes) return "an offset is larger than 2 GB";
    if (b.flags & SIMT_BUFFER_IN_PLACE) {
      if (module.hooks) return "a module with hooks needs its own copy of each buffer";
      if (b.same_as >= 0 || (b.flags & ~(SIMT_BUFFER_IN_PLACE | SIMT_BUFFER_READ_ONLY | SIMT_BUFFER_CONSTANT))) {
        return "buffer " + std::to_string(b.index) + " is used in place, which allows no other flags";
      }
    }
    for (uint32_t j = 0; j < i; j++) {
      if (d.bindings[j].index == b.index) return "buffer " + std::to_string(b.index) + " is bound twice";
    }
    if (b.same_as < 0) continue;
    const auto owner = [&](uint32_t j) {
      return has_slot(d.bindings[j]) && d.bindings[j].index == static_cast<uint32_t>(b.same_as);
    };
    bool found = false;
    for (uint32_t j = 0; j < d.binding_count; j++) found = found || owner(j);
    if (!found) return "buffer " + std::to_string(b.index) + " shares the memory of a buffer that is not bound";
  }
  for (uint32_t i = 0; i < d.constant_count; i++) {
    const simt_constant& c = d.constants[i];
    const auto at = module.constants.find(c.id);
    if (at == module.constants.end()) return "there is no function constant " + std::to_string(c.id);
    if (at->second.bytes != c.size) {
      return "function constant " + std::to_string(c.id) + " has " + std::to_string(at->second.bytes) + " bytes, not " +
             std::to_string(c.size);
    }
  }
  return "";
}

/// The constants of this dispatch; all others are undefined, and zero.
void set_constants(simt_module& module, const simt_dispatch& d) {
  for (auto& [id, c] : module.constants) {
    if (c.value != nullptr) std::memset(c.value, 0, c.bytes);
    if (c.defined != nullptr) *c.defined = 0;
  }
  for (uint32_t i = 0; i < d.constant_count; i++) {
    const simt_module::Constant& c = module.constants[d.constants[i].id];
    if (c.value != nullptr) std::memcpy(c.value, d.constants[i].value, c.bytes);
    if (c.defined != nullptr) *c.defined = 1;
  }
}

uint32_t slot_index(const simt_binding& b) {
  return b.index + ((b.flags & SIMT_BUFFER_CONSTANT) ? simt::kConstantBase : 0);
}

void unwritten(const simt_dispatch& d) {
  auto& m = g_machine;
  for (uint32_t i = 0; i < d.binding_count; i++) {
    const simt_binding& b = d.bindings[i];
    if (!(b.flags & SIMT_BUFFER_MUST_WRITE) || !has_slot(b)) continue;
    const simt::Slot& slot = m.arena.slot(b.index);
    uint64_t missing = 0, first = 0;
    for (uint64_t at = 0; at < b.size; at++) {
      // Without hooks, four bytes that still hold the pattern count as unwritten.
      bool written = false;
      if (m.hooks) {
        written = slot.touched[at] & 2;
      } else {
        const uint64_t word = at / 4 * 4;
        for (uint64_t k = word; k < std::min(word + 4, b.size); k++) {
          if (reinterpret_cast<const uint8_t*>(slot.begin)[k] != kFill[k % 2]) written = true;
        }
      }
      if (!written && missing++ == 0) first = at;
    }
    if (missing > 0) {
      m.find("unwritten-output",
             std::to_string(missing) + " of " + std::to_string(b.size) + " bytes of buffer " + std::to_string(b.index) +
                 (slot.name.empty() ? "" : " (" + slot.name + ")") + " are never written; the first is byte " +
                 std::to_string(first),
             0, i + 1);
    }
  }
}

void put(std::ostringstream& out, const char* name, uint64_t value) {
  out << "\"" << name << "\":" << value << ",";
}

void write_counters(std::ostringstream& out, const simt_dispatch& d) {
  auto& m = g_machine;
  const simt::Counters& c = m.counters;
  static const char* const kNames[] = {"device", "constant", "threadgroup"};
  out << "\"counters\":{";
  put(out, "threadgroups", c.threadgroups);
  put(out, "threads", c.threads);
  put(out, "simdgroups", c.simdgroups);
  put(out, "threadgroupBytes", c.threadgroup_bytes);
  put(out, "threadgroupBarriers", c.threadgroup_barriers);
  put(out, "simdgroupBarriers", c.simdgroup_barriers);
  put(out, "collectives", c.collectives);
  put(out, "mmas", c.mmas);
  put(out, "matrixLoads", c.matrix_loads);
  put(out, "matrixStores", c.matrix_stores);
  put(out, "atomics", c.atomics);
  out << "\"spaces\":{";
  for (int s = 0; s < simt::kSpaces; s++) {
    simt::GroupCounts read, write;
    for (const auto& [key, site] : c.sites) {
      if (static_cast<int>(site.space) == s) (site.write ? write : read) += site.counts;
    }
    out << (s ? "," : "") << "\"" << kNames[s] << "\":{";
    put(out, "bytesRead", c.space[s].bytes_read);
    put(out, "bytesWritten", c.space[s].bytes_written);
    put(out, "reads", c.space[s].reads);
    put(out, "writes", c.space[s].writes);
    if (s == static_cast<int>(simt::Space::kThreadgroup)) {
      put(out, "simdReads", read.accesses);
      put(out, "simdWrites", write.accesses);
      put(out, "readBankCycles", read.bank_cycles);
      out << "\"writeBankCycles\":" << write.bank_cycles << "}";
    } else {
      put(out, "simdReads", read.accesses);
      put(out, "readLines", read.lines);
      put(out, "readSectors", read.sectors);
      put(out, "simdWrites", write.accesses);
      put(out, "writeLines", write.lines);
      out << "\"writeSectors\":" << write.sectors << "}";
    }
  }
  out << "},\"buffers\":[";
  bool separate = false;
  for (uint32_t i = 0; i < d.binding_count; i++) {
    const simt_binding& b = d.bindings[i];
    const simt::Slot& slot = m.arena.slot(slot_index(b));
    uint64_t read = 0, written = 0;
    if (b.flags & SIMT_BUFFER_NULL) continue;
    for (uint8_t t : slot.touched) read += t & 1, written += t >> 1;
    out << (separate ? "," : "") << "{";
    separate = true;
    put(out, "index", b.index);
    put(out, "bytes", b.size);
    put(out, "distinctBytesRead", read);
    put(out, "distinctBytesWritten", written);
    out << "\"threadgroupSectors\":" << slot.group_sectors << "}";
  }
  out << "],\"sites\":[";
  bool first = true;
  for (const auto& [key, site] : c.sites) {
    out << (first ? "{" : ",{");
    first = false;
    put(out, "pc", key >> 1);
    out << "\"space\":\"" << kNames[static_cast<int>(site.space)] << "\",\"write\":" << (site.write ? "true" : "false")
        << ",";
    put(out, "buffer", site.buffer);
    put(out, "accesses", site.counts.accesses);
    put(out, "bytes", site.counts.bytes);
    put(out, "lines", site.counts.lines);
    put(out, "sectors", site.counts.sectors);
    out << "\"bankCycles\":" << site.counts.bank_cycles << "}";
  }
  out << "]}";
}

std::string to_json(const simt_dispatch& d, const std::string& refused) {
  auto& m = g_machine;
  std::ostringstream out;
  out << "{";
  if (!refused.empty()) {
    out << "\"refused\":" << json_string(refused) << ",";
  }
  out << "\"findings\":[";
  bool first = true;
  for (const simt::Finding& f : m.report.findings()) {
    const auto relative = [&](uint64_t pc) { return pc > m.module_base ? pc - m.module_base : pc; };
    out << (first ? "{" : ",{");
    first = false;
    out << "\"rule\":" << json_string(f.rule) << ",\"message\":" << json_string(f.message) << ",";
    if (f.pc != 0) put(out, "pc", relative(f.pc));
    if (f.pc != 0 && f.other_pc != 0) put(out, "otherPc", relative(f.other_pc));
    if (!f.file.empty()) {
      out << "\"file\":" << json_string(f.file) << ",";
      put(out, "line", f.line);
      put(out, "column", f.column);
    }
    if (f.has_thread) {
      out << "\"threadgroup\":[" << f.group[0] << "," << f.group[1] << "," << f.group[2] << "],";
      out << "\"thread\":[" << f.thread[0] << "," << f.thread[1] << "," << f.thread[2] << "],";
    }
    out << "\"count\":" << f.count << "}";
  }
  out << "]";
  if (refused.empty() && m.counters.enabled) {
    out << ",";
    write_counters(out, d);
  }
  out << "}";
  return out.str();
}

/// For dl_iterate_phdr: where the module's segments end.
int find_end(dl_phdr_info* info, size_t, void* module) {
  auto* m = static_cast<simt_module*>(module);
  if (info->dlpi_addr != m->base) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type == PT_LOAD) m->end = std::max<uint64_t>(m->end, m->base + header.p_vaddr + header.p_memsz);
  }
  return 1;
}

char* copy_text(const std::string& text) {
  auto* out = static_cast<char*>(std::malloc(text.size() + 1));
  if (out != nullptr) std::memcpy(out, text.c_str(), text.size() + 1);
  return out;
}

std::string bind(const simt_dispatch& d) {
  auto& m = g_machine;
  if (!m.arena.open()) return "the system refuses 256 GB of address space (is `ulimit -v` set?)";
  for (uint32_t i = 0; i < simt::kMaxBuffers; i++) {
    // An index that is not bound points to a page that cannot be touched: the kernel may hold it, but not use it.
    m.address_of[i] = reinterpret_cast<uint64_t>(m.arena.base()) + (static_cast<uint64_t>(i) << simt::kSlotShift);
  }
  for (uint32_t i = 0; i < d.binding_count; i++) {
    const simt_binding& b = d.bindings[i];
    if (b.flags & SIMT_BUFFER_NULL) m.address_of[b.index] = 0;
    if (b.flags & SIMT_BUFFER_IN_PLACE) m.address_of[b.index] = reinterpret_cast<uint64_t>(b.data) + b.offset;
    if (!has_slot(b)) continue;
    const uint32_t index = slot_index(b);
    const bool read_only = b.flags & (SIMT_BUFFER_READ_ONLY | SIMT_BUFFER_CONSTANT);
    if (!m.arena.allocate(index, b.size, m.hooks && !read_only)) return "no memory for the buffers";
    simt::Slot& slot = m.arena.slot(index);
    slot.space = (b.flags & SIMT_BUFFER_CONSTANT) ? simt::Space::kConstant : simt::Space::kDevice;
    slot.flags = b.flags;
    slot.index = b.index;
    if (b.name != nullptr) slot.name = b.name;
    if (m.hooks) slot.touched.assign(b.size, 0);
    if (m.counters.enabled) slot.sector_group.assign(b.size / simt::kSectorBytes + 1, 0);
    auto* to = reinterpret_cast<void*>(slot.begin);
    if (b.flags & SIMT_BUFFER_OUTPUT) {
      for (uint64_t at = 0; at < b.size; at++) static_cast<uint8_t*>(to)[at] = kFill[at % 2];
    } else if (b.size > 0) {
      std::memcpy(to, b.data, b.size);
    }
    m.address_of[b.index] = slot.begin + b.offset;
  }
  for (uint32_t i = 0; i < d.binding_count; i++) {
    const simt_binding& b = d.bindings[i];
    if (b.same_as < 0) continue;
    for (uint32_t j = 0; j < d.binding_count; j++) {
      const simt_binding& owner = d.bindings[j];
      if (!has_slot(owner) || owner.index != static_cast<uint32_t>(b.same_as)) continue;
      m.address_of[b.index] = m.arena.slot(slot_index(owner)).begin + b.offset;
    }
  }
  return m.open_threadgroup_memory() ? "" : "no memory";
}

}  // namespace

extern "C" {

simt_module* simt_load(const char* path, char* error, size_t error_size) {
  const auto fail = [&](const std::string& text) -> simt_module* {
    if (error_size > 0) {
      const size_t n = std::min(error_size - 1, text.size());
      std::memcpy(error, text.data(), n);
      error[n] = 0;
    }
    return nullptr;
  };
  // Modules find the runtime's functions in the global scope, wherever this library was loaded from.
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&simt_load), &self) != 0 && self.dli_fname != nullptr) {
    dlopen(self.dli_fname, RTLD_NOLOAD | RTLD_GLOBAL | RTLD_NOW);
  }
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return fail(dlerror());
  auto* m = new simt_module;
  m->handle = handle;
  const char* info = static_cast<const char*>(dlsym(handle, "simt_module_info"));
  std::string problem = info == nullptr ? "this is no kernel module" : parse(*m, info);
  Dl_info where;
  if (info != nullptr && dladdr(info, &where) != 0) m->base = reinterpret_cast<uint64_t>(where.dli_fbase);
  dl_iterate_phdr(find_end, m);
  m->hooks = dlsym(handle, "simt_module_hooks") != nullptr;
  if (!problem.empty()) {
    simt_unload(m);
    return fail(problem);
  }
  return m;
}

void simt_unload(simt_module* module) {
  if (module == nullptr) return;
  dlclose(module->handle);
  delete module;
}

uint32_t simt_wave(const simt_module* module) {
  return module->wave;
}
uint32_t simt_kernel_count(const simt_module* module) {
  return static_cast<uint32_t>(module->kernels.size());
}
const char* simt_kernel_name(const simt_module* module, uint32_t index) {
  return index < module->kernels.size() ? module->kernels[index].name.c_str() : nullptr;
}

char* simt_run(simt_module* module, const simt_dispatch* dispatch) {
  static std::mutex* const lock = new std::mutex;  // never destroyed: threads may outlive static objects
  const std::lock_guard<std::mutex> held(*lock);
  auto& m = g_machine;
  const simt_dispatch& d = *dispatch;
  m.report.clear();
  m.hooks = module->hooks;
  m.threadgroup_limit = module->limit;
  m.counters.clear();
  m.counters.enabled = m.hooks && (d.flags & SIMT_COUNT);
  std::string refused = validate(*module, d);
  if (refused.empty()) refused = bind(d);
  if (!refused.empty()) {
    m.counters.enabled = false;
    m.release();
    return copy_text(to_json(d, refused));
  }
  m.wave = module->wave;
  m.module_base = module->base;
  m.module_end = module->end;
  m.kernel_name = d.kernel;
  for (const auto& k : module->kernels) {
    if (k.name == d.kernel) m.kernel = k.run;
  }
  for (int i = 0; i < 3; i++) {
    m.group_size[i] = d.group[i];
    const bool threads = d.flags & SIMT_GRID_IN_THREADS;
    m.groups[i] = threads ? (d.grid[i] + d.group[i] - 1) / d.group[i] : d.grid[i];
    m.grid_threads[i] = threads ? d.grid[i] : d.grid[i] * d.group[i];
    m.group[i] = 0;
  }
  m.order = d.order;
  m.random = d.seed;
  m.threadgroup_arguments.assign(d.threadgroup_bytes, d.threadgroup_bytes + d.threadgroup_count);
  set_constants(*module, d);
  {
    simt::FaultGuard guard;
    if (d.timeout_ms > 0 && !guard.stop_after(d.timeout_ms)) {
      m.counters.enabled = false;
      m.release();
      return copy_text(to_json(d, "the system has no timer that could stop the kernel"));
    }
    m.run();
  }
  if (!m.aborted) unwritten(d);
  for (uint32_t i = 0; i < d.binding_count; i++) {
    const simt_binding& b = d.bindings[i];
    const bool input = b.flags & (SIMT_BUFFER_READ_ONLY | SIMT_BUFFER_CONSTANT);
    if (has_slot(b) && !input && b.size > 0) {
      std::memcpy(b.data, reinterpret_cast<void*>(m.arena.slot(b.index).begin), b.size);
    }
  }
  char* text = copy_text(to_json(d, ""));
  m.release();
  return text;
}

void simt_free(char* report) {
  std::free(report);
}
}
