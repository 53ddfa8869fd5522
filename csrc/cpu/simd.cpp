#include "cpu/simd.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace embedseg {
namespace {

constexpr std::array<const char*, 3> names = {"plain", "avx2", "avx512"};

Isa choose_isa() {
  const Isa widest = detect_isa();
  const char* wanted = std::getenv("EMBEDSEG_SIMD");
  if (wanted == nullptr) return widest;
  const auto found = std::find(names.begin(), names.end(), std::string_view(wanted));
  return std::min(widest, found == names.end() ? widest : static_cast<Isa>(found - names.begin()));
}

}  // namespace

Isa isa() {
  static const Isa chosen = choose_isa();
  return chosen;
}

const char* isa_name() { return names[static_cast<int>(isa())]; }

}  // namespace embedseg
