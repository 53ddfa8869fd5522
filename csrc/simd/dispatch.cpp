#include "simd/dispatch.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace embedseg::cpu {
namespace {

constexpr std::array<const char*, 3> names = {"plain", "avx2", "avx512"};

Isa widest_isa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4")) return Isa::avx512;
  if (__builtin_cpu_supports("x86-64-v3")) return Isa::avx2;
#endif
  return Isa::plain;
}

Isa choose_isa() {
  const char* wanted = std::getenv("EMBEDSEG_SIMD");
  if (wanted == nullptr) return widest_isa();
  const auto found = std::find(names.begin(), names.end(), std::string_view(wanted));
  return found == names.end() ? widest_isa() : std::min(widest_isa(), static_cast<Isa>(found - names.begin()));
}

}  // namespace

Isa isa() {
  static const Isa chosen = choose_isa();
  return chosen;
}

const char* isa_name() { return names[static_cast<int>(isa())]; }

}  // namespace embedseg::cpu
