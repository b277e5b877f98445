#pragma once
// For *_cudnn.cpp files.

namespace warptape {

// dlopen's handle of cuDNN; nullptr where the library is not there (cudnn_library() says why).
void* loaded_cudnn();

}  // namespace warptape
