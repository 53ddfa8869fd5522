#include "labels.h"

#include <utility>

namespace embedseg {
namespace {

template <class T>
void read_as(const void* data, int64_t begin, int64_t end, int64_t first, int64_t count, int32_t* out) {
  const T* labels = static_cast<const T*>(data);
  for (int64_t i = begin; i < end; ++i) {
    const T label = labels[i];
    const bool is_object = std::cmp_greater_equal(label, first) && std::cmp_less(label, count);
    out[i - begin] = is_object ? static_cast<int32_t>(label) : -1;
  }
}

}  // namespace

void LabelView::read(int64_t begin, int64_t end, int32_t* out) const {
  switch (dtype) {
    case ScalarType::Byte:
      return read_as<uint8_t>(data, begin, end, first, count, out);
    case ScalarType::Char:
      return read_as<int8_t>(data, begin, end, first, count, out);
    case ScalarType::Short:
      return read_as<int16_t>(data, begin, end, first, count, out);
    case ScalarType::Int:
      return read_as<int32_t>(data, begin, end, first, count, out);
    case ScalarType::Long:
      return read_as<int64_t>(data, begin, end, first, count, out);
    case ScalarType::UInt16:
      return read_as<uint16_t>(data, begin, end, first, count, out);
    case ScalarType::UInt32:
      return read_as<uint32_t>(data, begin, end, first, count, out);
    case ScalarType::UInt64:
      return read_as<uint64_t>(data, begin, end, first, count, out);
    default:
      STD_TORCH_CHECK(false, "labels must have an integer dtype");
  }
}

}  // namespace embedseg
