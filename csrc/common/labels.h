// Reading label maps of any integer dtype.
#pragma once

#include "common/tensor.h"

namespace embedseg {

// Ids first, first + 1, …, count − 1 are objects; every other label is ignored.
class LabelView {
 public:
  const void* data;
  ScalarType dtype;
  int64_t first, count;

  // The object of the i-th pixel; -1 where it is none's.
  C10_HOST_DEVICE int32_t object(int64_t i) const {
    const int64_t label = read(i);
    return label >= first && label < count ? static_cast<int32_t>(label) : -1;
  }

 private:
  template <class T>
  C10_HOST_DEVICE int64_t read_as(int64_t i) const {
    return static_cast<int64_t>(static_cast<const T*>(data)[i]);
  }
  C10_HOST_DEVICE int64_t read(int64_t i) const {
    switch (dtype) {
      case ScalarType::Byte:
        return read_as<uint8_t>(i);
      case ScalarType::Char:
        return read_as<int8_t>(i);
      case ScalarType::Short:
        return read_as<int16_t>(i);
      case ScalarType::Int:
        return read_as<int32_t>(i);
      case ScalarType::UInt16:
        return read_as<uint16_t>(i);
      case ScalarType::UInt32:
        return read_as<uint32_t>(i);
      default:
        return read_as<int64_t>(i);  // uint64 too: what is beyond int64 is no object's
    }
  }
};

// labels: any integer dtype, contiguous; background: whether 0 is an object
inline LabelView view_of_labels(const Tensor& labels, int64_t count, bool background = true) {
  return {labels.data_ptr(), labels.scalar_type(), background ? 0 : 1, count};
}

// Calls body with the type of the labels: template <class T> void operator()().
template <class Body>
void with_integer(ScalarType dtype, const Body& body) {
  switch (dtype) {
    case ScalarType::Byte:
      return body.template operator()<uint8_t>();
    case ScalarType::Char:
      return body.template operator()<int8_t>();
    case ScalarType::Short:
      return body.template operator()<int16_t>();
    case ScalarType::Int:
      return body.template operator()<int32_t>();
    case ScalarType::Long:
      return body.template operator()<int64_t>();
    case ScalarType::UInt16:
      return body.template operator()<uint16_t>();
    case ScalarType::UInt32:
      return body.template operator()<uint32_t>();
    case ScalarType::UInt64:
      return body.template operator()<uint64_t>();
    default:
      STD_TORCH_CHECK(false, "labels must have an integer dtype");
  }
}

}  // namespace embedseg
