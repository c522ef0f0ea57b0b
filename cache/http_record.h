// cache/http_record.h
// A stored response as the tier behind memory keeps it, and back.
//
// Times are kept by the wall clock, as the loops' clock ends with the process.
//
// Threading: any loop. Bounds: the object's; what a tier gives back is read as strictly as an
// origin's head.
#pragma once

#include "cache/http_object.h"
#include "cache/object_tier.h"

namespace weir {

// Whether it is worth the tier's room: a whole segment that is the same for everybody.
bool fits_tier(const HttpObject& object);

// `now` and `wall` are the same moment. REQUIRES: fits_tier().
TierObject to_tier(const HttpObjectRef& object, Clock::time_point now, TierObject::Time wall);

// Null when the record is not understood.
HttpObjectRef from_tier(const TierObject& record, std::shared_ptr<MemoryUse> memory,
                        Clock::time_point now, TierObject::Time wall);

}  // namespace weir
