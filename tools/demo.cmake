# The demo: the library used as any other program would, on text that is at hand.
add_executable(quarry_demo demo.cc demo_passages.cc demo_vectorizer.cc)
target_include_directories(quarry_demo PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(quarry_demo PRIVATE quarry fmt::fmt nlohmann_json::nlohmann_json
                      quarry_warnings)
