#include "simd/dispatch.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace embedseg::cpu {
namespace {

constexpr std::array<const char*, 3> names = {"plain", "avx2", "avx512"};

// All that EMBEDSEG_TARGET in simd/target.h names.
Isa widest_isa() {
#if defined(__x86_64__)
  const auto all = [](auto... supported) { return (... && (supported != 0)); };
  const bool avx2 = all(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("bmi"), __builtin_cpu_supports("bmi2"),
                        __builtin_cpu_supports("fma"), __builtin_cpu_supports("popcnt"));
  const bool avx512 =
      all(__builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512bw"), __builtin_cpu_supports("avx512cd"),
          __builtin_cpu_supports("avx512dq"), __builtin_cpu_supports("avx512vl"));
  if (avx2) return avx512 ? Isa::avx512 : Isa::avx2;
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
